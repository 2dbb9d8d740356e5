"""Holds small types and rules that every module shares, and that depend on no other package.

Inside: identifiers and the base of event structs. Not inside: anything that needs a database,
Kafka, a department or the web framework.
"""
