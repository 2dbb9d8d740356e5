"""The server of the HTTP tests."""

from tests.http.conftest import _no_farewell, client, overrides, server, settings

__all__ = ["_no_farewell", "client", "overrides", "server", "settings"]
