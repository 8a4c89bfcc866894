"""Tests of the engines' common ground."""
