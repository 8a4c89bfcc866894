"""Encoded and decoded pictures."""
