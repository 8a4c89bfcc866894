"""The model store: which weights there are, which are installed, and how they are fetched."""
