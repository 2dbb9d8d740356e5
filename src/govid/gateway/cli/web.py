"""Runs the application in this process: the same server for `dev` and for `serve`."""

import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.listening import BACKLOG
from govid.gateway.connections import Connection

GRACE_SECONDS = 10
"""How long requests in work may take once the server is told to stop."""


class Server(uvicorn.Server):
    """Uvicorn, telling when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        """Call *ready* once the application has started and connections are taken."""
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, listen, tell."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def configuration(application: Any, *, workers: int = 1, factory: bool = False) -> uvicorn.Config:
    """Return the server's settings. The edge does its own logging and trusts no proxy's headers."""
    return uvicorn.Config(
        application,
        factory=factory,
        workers=workers,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )


def run(application: Any, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal ends it.

    Raises:
        CommandError: the application did not start; its log says why.
    """
    server = Server(configuration(application), ready)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return
    except SystemExit as error:
        raise CommandError(
            "the application did not start.", "The log lines above say why."
        ) from error
    if not server.started:
        raise CommandError("the application did not start.", "The log lines above say why.")
