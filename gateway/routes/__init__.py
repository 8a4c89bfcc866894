"""The REST calls, one module a group."""
