"""Runs the application in this process: the same server for `dev` and for `serve`."""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import click
import uvicorn

from govid.gateway.cli.errors import CommandError, Refused

GRACE_SECONDS = 10
"""How long requests in work may take once the server is told to stop."""
BACKLOG = 2048
PORT = click.IntRange(0, 65535)


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
        http="httptools",
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


def listen(host: str, port: int) -> socket.socket:
    """Take *port* on *host*, or say why not. Taken before anything else is started.

    Raises:
        CommandError: another program has it, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening at once, and not when the application is ready, is what keeps a second start
        # from taking the port meanwhile.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CommandError(
            f"port {port} of {host} cannot be used ({error.strerror}).",
            f"Stop the program that has it, or choose another: GOVID_PORT={port + 1}.",
        ) from error
    listener.set_inheritable(True)
    return listener


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


def url_of(listener: socket.socket) -> str:
    """Return the URL under which *listener* is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refuse_exposure(host: str, *, expose: bool) -> None:
    """Refuse to listen where other machines reach a demonstration, unless that is wanted.

    Raises:
        Refused: *host* is not a loopback address.
    """
    if expose or host == "localhost" or _is_loopback(host):
        return
    raise Refused(
        f"{host} is reachable from other machines, and this is a demonstration.",
        "Leave --host away, or add --expose if that is what you want.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
