"""The wheel as people install it; asks the package index."""
