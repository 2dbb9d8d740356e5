"""The command line."""

from govid.gateway.cli.group import main

__all__ = ["main"]
