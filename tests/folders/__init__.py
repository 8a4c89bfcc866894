"""Folders at full size: a target of its own."""
