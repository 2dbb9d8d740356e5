"""Runs the application in this process: the same server for `dev` and for `serve`."""

import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from govid.gateway.cli.database_errors import explain
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
        CommandError: the application did not start; the sentence says why.
    """
    watched = _StartWatch(application)
    server = Server(configuration(watched), ready)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return
    except SystemExit as error:
        raise _not_started(watched.error) from error
    if not server.started:
        raise _not_started(watched.error)


class _StartWatch:
    """Passes everything on to an application, and keeps the error with which its start failed."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.error: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        try:
            await self._application(scope, receive, send)
        except Exception as error:
            self.error = error
            raise


def _not_started(error: Exception | None) -> CommandError:
    if error is None:
        return CommandError("the server stopped while it started.", "Its log lines say why.")
    explained = explain(error)
    if explained is None:
        return CommandError(
            f"the application did not start ({type(error).__name__}).",
            "`govid check` lists every fault; --debug shows the traceback.",
        )
    started = type(explained)(f"the application did not start: {explained.message}")
    started.remedy = explained.remedy
    return started
