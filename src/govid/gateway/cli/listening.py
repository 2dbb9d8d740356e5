"""Opens the listening socket of a server, without importing the server, which is slow."""

import ipaddress
import socket

import click

from govid.gateway.cli.errors import CommandError, CommandRefused

BACKLOG = 2048
PORT = click.IntRange(0, 65535)


def open_listener(host: str, port: int, *, setting: str = "GOVID_PORT") -> socket.socket:
    """Listen on *port* of *host*. Commands do this before they start anything else.

    *setting* is the name of the setting that selects another port.

    Raises:
        CommandError: another program uses the port, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening at once, and not only when the application is ready, keeps a second start from
        # taking the port in the meantime.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CommandError(
            f"port {port} of {host} cannot be used ({error.strerror}).",
            f"Stop the program that uses it, or choose another: {setting}={port + 1}.",
        ) from error
    listener.set_inheritable(True)
    return listener


def format_listener_url(listener: socket.socket) -> str:
    """Return the URL of *listener*."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refuse_exposure(host: str, *, expose: bool) -> None:
    """Refuse an address that other machines can reach for a demonstration, unless *expose*.

    Raises:
        CommandRefused: *host* is not a loopback address.
    """
    if expose or host == "localhost" or _is_loopback(host):
        return
    raise CommandRefused(
        f"{host} is reachable from other machines, and this is a demonstration.",
        "Omit --host, or add --expose if other machines may reach it.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
