"""The command `govid demo`: scenarios that run against a server, and their synthetic people.

The scenarios use HTTP and Kafka like any client. The embedded backends of `govid dev` are not here
but in `govid.gateway.dev`.
"""
