"""HTTP around the routes: connections, limits, layers, errors."""
