"""The protobuf contracts of Facet."""
