"""Measures govid against the floor below it and the prototype before it (`make bench`)."""
