"""Measures govid against a minimal application and the prototype before it (`make bench`)."""
