"""govid: a citizen-identity hub for public services."""

__version__ = "0.1.0"
