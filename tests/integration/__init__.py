"""Several parts together, over real sockets and processes."""
