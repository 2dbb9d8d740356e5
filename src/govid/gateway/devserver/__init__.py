"""Backends for `govid dev`: they need nothing but Python, and nothing of them is for production."""
