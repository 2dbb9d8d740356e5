"""Stores the state of `govid dev` between two starts, and for other commands."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import msgspec

from govid.bus.shared.privacy import RedactedStruct
from govid.gateway.settings import Settings


class CannotStart(Exception):
    """This machine prevents a start of `govid dev`; `remedy` says how to solve the problem."""

    def __init__(self, message: str, remedy: str) -> None:
        """Give the reason in one sentence, and the remedy."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy


FILE = "dev.json"
LOCK = "lock"


def _generate_secret() -> str:
    return secrets.token_urlsafe(48)


class RunningServer(RedactedStruct, frozen=True, kw_only=True):
    """The running server, as other commands (`govid events tail`, `demo`, `outbox`) find it."""

    pid: int
    url: str
    database_url: str
    kafka_bootstrap_servers: str
    kafka_in_memory: bool
    started_at: datetime

    repr_members: ClassVar[tuple[str, ...]] = ("url",)


class DevState(msgspec.Struct, kw_only=True):
    """The content of `dev.json`. The secrets are generated for this folder at the first start."""

    password: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(9))
    pseudonym_key: str = msgspec.field(default_factory=_generate_secret)
    secret_key: str = msgspec.field(default_factory=_generate_secret)
    key_encryption_key: str = msgspec.field(default_factory=_generate_secret)
    audit_key: str = msgspec.field(default_factory=_generate_secret)
    postgres_folder: str | None = None
    running: RunningServer | None = None

    def __repr__(self) -> str:
        """Show no value: most are secrets (I9)."""
        return "<DevState>"


class StateFolder:
    """The state folder `.govid`."""

    def __init__(self, path: Path) -> None:
        """Use *path*; nothing is created or read yet."""
        self.path = path.absolute()
        self.file = self.path / FILE

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder for one server while the block runs.

        Raises:
            CannotStart: it cannot be written, or another server holds it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = (self.path / LOCK).open("w")
        except OSError as error:
            raise CannotStart(
                f"the folder {self.path} cannot be written ({error.strerror}).",
                "Set GOVID_DATA_DIR to your own folder, for example ~/.local/share/govid.",
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CannotStart(
                    f"another `govid dev` runs in {self.path}{self._running_server()}.",
                    "Use that one, stop it with Ctrl-C, or set GOVID_DATA_DIR to another folder.",
                ) from None
            yield

    def read(self) -> DevState:
        """Return the stored state, or a new one if there is none that can be read."""
        try:
            return msgspec.json.decode(self.file.read_bytes(), type=DevState)
        except (OSError, msgspec.DecodeError):
            return DevState()

    def write(self, state: DevState) -> None:
        """Store *state* atomically in a file that only its owner can read."""
        draft = self.path / f"{FILE}.new"
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(msgspec.json.format(msgspec.json.encode(state), indent=2))
        draft.replace(self.file)

    def find_running_server(self) -> RunningServer | None:
        """Return the server that runs in this folder, if one does."""
        running = self.read().running
        return running if running and _is_running(running.pid) else None

    def delete_contents(self) -> None:
        """Delete everything except the lock; this includes the database."""
        folder = self.read().postgres_folder
        if folder is not None and not Path(folder).is_relative_to(self.path):
            # Outside of the state folder it has a temporary folder of its own.
            shutil.rmtree(Path(folder).parent, ignore_errors=True)
        for path in self.path.iterdir():
            if path.name == LOCK:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _running_server(self) -> str:
        running = self.read().running
        return f" (process {running.pid}, {running.url})" if running else ""


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def default_secrets(settings: Settings, state: DevState) -> dict[str, object]:
    """Return this folder's own secrets for all that *settings* do not set."""
    own = {
        "GOVID_PSEUDONYM_KEY": state.pseudonym_key,
        "GOVID_SECRET_KEY": state.secret_key,
        "GOVID_KEY_ENCRYPTION_KEY": state.key_encryption_key,
        "GOVID_AUDIT_KEY": state.audit_key,
    }
    return {name: value for name, value in own.items() if not settings.is_set(name)}
