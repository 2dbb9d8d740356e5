"""Hostile clients at the socket, each alone against a warm server: see `README.md`."""
