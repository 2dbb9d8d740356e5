"""The address that a server takes; without the server, which takes long to import."""

import ipaddress
import socket

import click

from govid.gateway.cli.errors import CommandError, Refused

BACKLOG = 2048
PORT = click.IntRange(0, 65535)


def listen(host: str, port: int, *, setting: str = "GOVID_PORT") -> socket.socket:
    """Take *port* on *host*, or say why not. Taken before anything else is started.

    *setting* is what another port is given by.

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
            f"Stop the program that has it, or choose another: {setting}={port + 1}.",
        ) from error
    listener.set_inheritable(True)
    return listener


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
