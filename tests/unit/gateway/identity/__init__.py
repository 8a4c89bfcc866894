"""Who calls the gateway, what they may do, and how often."""
