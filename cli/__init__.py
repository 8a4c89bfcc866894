"""The commands of `facet`, one module a group."""
