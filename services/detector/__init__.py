"""Finds faces in pictures."""
