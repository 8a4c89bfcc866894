"""The gRPC tiers of Facet and the chassis that they share."""
