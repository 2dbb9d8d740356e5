"""Hostile clients at the socket, one at a time against a warm server: see `README.md`."""
