"""Reads passwords from libpq's password file, by the rules of libpq.

The driver reads such files too, but keeps the backslashes of escaped characters in the password.

Source: PostgreSQL documentation, "The Password File".
"""

import getpass
import os
import re
import stat
from pathlib import Path

from govid.bus.storage.connection_url import DEFAULT_PORT, ConnectionUrl

_FIELD = r"((?:\\.|[^:\\])*):"
_LINE = re.compile(4 * _FIELD + r"((?:\\.|[^:\\]|\\$)*)")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class PasswordFile:
    """The password file of one URL: its own, that of `PGPASSFILE`, or `~/.pgpass`."""

    def __init__(self, url: ConnectionUrl) -> None:
        """Read nothing yet: the file is read for each connection."""
        self._url = url
        for path, name in (
            (url.passfile, "passfile"),
            (os.environ.get("PGPASSFILE"), "PGPASSFILE"),
            # Unlike `Path`, this raises nothing for a user without a home.
            (os.path.expanduser("~/.pgpass"), "~/.pgpass"),  # noqa: PTH111
        ):
            if path:
                self._path, self._name = Path(path), name
                break

    @property
    def is_used(self) -> bool:
        """Whether the password is taken from the file, if there is one."""
        return self._url.password is None and os.environ.get("PGPASSWORD") is None

    def find_fault(self) -> str | None:
        """Return why the file is ignored; None if it is not, or if there is no such file."""
        mode = self._read_mode() if self.is_used else None
        if mode is None:
            return None
        if not stat.S_ISREG(mode):
            return f"the password file of {self._name} is ignored: it is no regular file"
        if mode & _OTHERS:
            return (
                f"the password file of {self._name} is ignored, as libpq does, because other users "
                "can access it: chmod 600"
            )
        return None

    def find_password(self, host: str | None, port: int | None) -> str | None:
        """Return the password of the first line that matches, None if there is none.

        *host* and *port* are None for the driver's defaults.
        """
        if not self._can_be_read:
            return None
        wanted = self._describe_connection(host, port)
        for line in self._read_lines():
            if found := _LINE.match(line):
                *fields, password = found.groups()
                if all(map(_matches, fields, wanted)):
                    return _unescape(password)
        return None

    def _describe_connection(self, host: str | None, port: int | None) -> list[set[str]]:
        """Return what the fields of a line have to be: host, port, database and user."""
        user = self._url.user or os.environ.get("PGUSER") or getpass.getuser()
        hosts = {host} if host else set(os.environ.get("PGHOST", "localhost").split(","))
        if any(one.startswith("/") for one in hosts):
            # A socket is known by its folder, or as `localhost`.
            hosts.add("localhost")
        return [
            hosts,
            {str(port or os.environ.get("PGPORT") or DEFAULT_PORT)},
            {self._url.database or os.environ.get("PGDATABASE") or user},
            {user},
        ]

    def explain_refusal(self, host: str | None, port: int | None) -> str | None:
        """Return what is wrong with the file if the server has refused the login."""
        if fault := self.find_fault():
            return fault
        if self._can_be_read and not os.access(self._path, os.R_OK):
            return f"the password file of {self._name} cannot be read"
        if self._can_be_read and self.find_password(host, port) is None:
            return (
                f"no line of the password file of {self._name} is for this host, port, database "
                "and user"
            )
        return None

    @property
    def _can_be_read(self) -> bool:
        return self.is_used and self._read_mode() is not None and self.find_fault() is None

    def _read_mode(self) -> int | None:
        """Return type and permissions; None if there is no such file, or none that govid sees."""
        try:
            return self._path.stat().st_mode
        except OSError:
            return None

    def _read_lines(self) -> list[str]:
        try:
            text = self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return []
        return [line.rstrip("\r") for line in text.split("\n") if not line.startswith("#")]


def _matches(field: str, wanted: set[str]) -> bool:
    return field == "*" or _unescape(field) in wanted


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
