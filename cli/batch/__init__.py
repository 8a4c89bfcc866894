"""Whole folders and buckets of pictures through a gateway: found, named, worked through, remembered and reported."""
