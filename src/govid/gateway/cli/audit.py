"""What an operator did, as lines of JSON on stderr, where a log collector finds them."""

import getpass
import logging
import os
from datetime import UTC, datetime

import msgspec

from govid.bus import Actor

log = logging.getLogger(__name__)
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


class JsonLines(logging.Formatter):
    """One object a record: time, event, and what the record carries beside its message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as a line."""
        told = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        moment = datetime.fromtimestamp(record.created, tz=UTC)
        line = {"timestamp": moment, "event": record.getMessage(), **told}
        return msgspec.json.encode(line).decode()


def operator() -> Actor:
    """Return who sits at the terminal, as the system knows them: in a container, by number only."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return Actor(kind="operator", id=name)


def write_audit_lines() -> None:
    """Let what govid logs about operators' deeds reach stderr, in a command that runs by itself."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    log.setLevel(logging.INFO)
    log.handlers = [handler]
    log.propagate = False


def audit(event: str, *, reason: str) -> None:
    """Write that the operator did *event*, and why."""
    write_audit_lines()
    actor = operator()
    log.info(event, extra={"actor": f"{actor.kind}:{actor.id}", "reason": reason})
