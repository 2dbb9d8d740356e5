"""The command line."""

from govid.gateway.cli.main import main

__all__ = ["main"]
