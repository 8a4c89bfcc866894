"""The version of this client: the same as that of the servers of its release."""

__version__ = "0.1.0"
