"""Hides regions of pictures."""
