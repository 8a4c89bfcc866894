"""The tests of Facet; the folders mirror the code."""
