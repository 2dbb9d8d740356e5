"""Commands that run a server until a signal stops it: `dev`, `serve` and `simulators`.

The application itself is built by `govid.gateway.app`.
"""
