"""Folders and buckets, without servers."""
