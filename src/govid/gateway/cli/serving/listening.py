"""Opens the listening socket of a server, and handles the signals that stop it.

It does not import the server, which is slow: a command listens before it imports anything else.
"""

import errno
import ipaddress
import os
import signal
import socket
from types import FrameType

import click

from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.output import apply_options

BACKLOG = 2048
LARGEST_PORT = 65_535
PORT = click.IntRange(0, LARGEST_PORT)

address_options = apply_options(
    click.option("--host", help="Address to listen on.  [default: GOVID_HOST, else 127.0.0.1]"),
    click.option(
        "--port",
        type=PORT,
        metavar="PORT",
        help="0 takes a free one.  [default: GOVID_PORT, else 8000]",
    ),
)
"""Adds the options for the address of the server; `address_settings` takes their values."""


def address_settings(host: str | None, port: int | None) -> dict[str, object]:
    """Return the settings that the given options override."""
    values = {"GOVID_HOST": host, "GOVID_PORT": port}
    return {name: value for name, value in values.items() if value is not None}


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
        remedy = f"Stop the program that uses it, or choose another: {setting}={port + 1}."
        if error.errno == errno.EADDRNOTAVAIL:
            remedy = f"Set {setting.replace('PORT', 'HOST')} to an address of this machine."
        raise CommandError(
            f"port {port} of {host} cannot be used ({error.strerror}).", remedy
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


STREAMS = (0, 1, 2)


def stop_on_terminate() -> None:
    """Handle SIGTERM like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def stop_on_signals() -> None:
    """Handle SIGTERM like Ctrl-C, and SIGHUP like SIGTERM.

    A closed terminal sends SIGHUP. Under `nohup`, which ignores SIGHUP, it stays ignored.
    """
    stop_on_terminate()
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return
    terminals = find_terminals()

    def hang_up(number: int, frame: FrameType | None) -> None:
        del number, frame
        replace_closed_terminals(terminals)
        # The present handler of SIGTERM, for example the server's, then handles SIGHUP too.
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGHUP, hang_up)


class HangupSignal:
    """Notes that SIGHUP has arrived, which asks a server to read its settings again."""

    def __init__(self) -> None:
        """Handle SIGHUP from now on, which does not end this process, nor under `nohup`."""
        # Numbers and no flag: a signal may arrive while `consume` reads and resets it.
        self._received = 0
        self._consumed = 0
        self._terminals = find_terminals()
        signal.signal(signal.SIGHUP, self._note)
        # The supervisor of workers starts them with SIGHUP blocked, so that it does not end them.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def consume(self) -> bool:
        """Return whether SIGHUP has arrived since the last call."""
        received = self._received
        is_new = received != self._consumed
        self._consumed = received
        return is_new

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        replace_closed_terminals(self._terminals)
        self._received += 1


def find_terminals() -> list[int]:
    """Return the standard streams that are terminals."""
    return [stream for stream in STREAMS if os.isatty(stream)]


def replace_closed_terminals(terminals: list[int]) -> None:
    """Replace streams of a closed terminal by the null device, because writing to them fails."""
    for stream in terminals:
        if not os.isatty(stream):
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, stream)
            os.close(null)
