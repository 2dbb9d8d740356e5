"""Writes audit lines of operator commands: JSON on stderr, for a log collector."""

import getpass
import logging
import os
from datetime import UTC, datetime

import msgspec

from govid.bus import Actor

log = logging.getLogger(__name__)
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


class AuditLineFormatter(logging.Formatter):
    """Formats a log record as one JSON object: time, event and the record's extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line of JSON."""
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        moment = datetime.fromtimestamp(record.created, tz=UTC)
        line = {"timestamp": moment, "event": record.getMessage(), **fields}
        return msgspec.json.encode(line).decode()


def current_operator() -> Actor:
    """Return the operator: the user of this system, or only its number, as in a container."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return Actor(kind="operator", id=name)


def enable_audit_lines() -> None:
    """Send audit lines to stderr. A command outside the server has no other log output."""
    handler = logging.StreamHandler()
    handler.setFormatter(AuditLineFormatter())
    log.setLevel(logging.INFO)
    log.handlers = [handler]
    log.propagate = False


def log_operator_action(event: str, *, reason: str) -> None:
    """Write an audit line for *event* with the operator and the *reason*."""
    enable_audit_lines()
    actor = current_operator()
    log.info(event, extra={"actor": f"{actor.kind}:{actor.id}", "reason": reason})
