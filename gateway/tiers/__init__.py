"""The tiers as the gateway calls them."""
