"""Log lines: one JSON object each, allowlisted members, nothing personal, nothing that forges.

Rooms of the house use the standard library's `logging`; requests, of which there are many, go
round it.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any, Literal

import msgspec

from govid.bus.masking import scrubbed
from govid.gateway.exchange import Exchange, printable
from govid.gateway.hosts import PROBED
from govid.gateway.lines import LogWriter

STANDARD_ERROR = 2

MEMBERS = frozenset(
    {
        "actor",
        "attempt",
        "attempts",
        "constraint",
        "correlation_id",
        "day",
        "deliveries",
        "department",
        "differences",
        "duration_ms",
        "error_class",
        "event_id",
        "fault",
        "first_seen",
        "flow",
        "for_good",
        "frames",
        "generation",
        "kind",
        "method",
        "module_name",
        "next_offset",
        "notice_id",
        "now",
        "offset",
        "operation",
        "outcome",
        "partition",
        "partitions",
        "place",
        "purpose",
        "reason",
        "records",
        "replay_id",
        "route",
        "selection",
        "sqlstate",
        "subject",
        "subscriber",
        "table",
        "topic",
        "upstream_id",
        "worker",
    }
)
"""What a log call may say beside its message (`extra=`); the rest is left out (I9)."""

ROUTINE = frozenset({*PROBED, "/metrics"})
"""Paths that orchestrators and Prometheus ask for every few seconds."""

_encode = msgspec.json.Encoder().encode


class RequestLines:
    """One line for each request; those of probes and scrapes at level debug."""

    def __init__(self, writer: LogWriter, *, console: bool, debug: bool = False) -> None:
        """Write to *writer*: for people if *console*, else as JSON; also at level debug if so."""
        self._write = writer.write
        self._console = console
        self._debug = debug

    def line(self, exchange: Exchange, duration_ms: float) -> None:
        """Write the line of *exchange*."""
        is_routine = exchange.path in ROUTINE
        if is_routine and not self._debug:
            return
        if self._console:
            self._write(
                f"{_clock()} {exchange.method} {exchange.path} {exchange.status} "
                f"{duration_ms:.1f} ms".encode()
            )
            return
        self._write(
            _encode(
                {
                    "time": datetime.now(UTC),
                    "level": "DEBUG" if is_routine else "INFO",
                    "message": "request",
                    "method": exchange.method,
                    "path": exchange.path,
                    "status": exchange.status,
                    "duration_ms": duration_ms,
                    "client_ip": exchange.client_ip,
                    "user_id": exchange.user_id,
                    "correlation_id": exchange.correlation_id,
                }
            )
        )


class LineHandler(logging.Handler):
    """Turns a record of the standard library into a line."""

    def __init__(self, writer: LogWriter, *, console: bool) -> None:
        """Write to *writer*: for people if *console*, else as JSON."""
        super().__init__()
        self._writer = writer
        self._write = writer.write
        self._form: Callable[[logging.LogRecord], bytes] = _readable if console else _json

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*."""
        try:
            self._write(self._form(record))
        except Exception:  # noqa: BLE001 - the standard library's rule: logging never raises
            self.handleError(record)

    def close(self) -> None:
        """Write what is left, and write no more."""
        self._writer.close()
        super().close()


def configure(
    level: str, form: Literal["auto", "json", "console"], stream: IO[bytes] | None = None
) -> tuple[LogWriter, RequestLines]:
    """Send all logging of this process to *stream* (standard error); return who writes it."""
    # The descriptor and not `sys.stderr`, which others replace and close.
    stream = stream or open(STANDARD_ERROR, "wb", closefd=False)  # noqa: SIM115 - open until the end
    console = form == "console" or (form == "auto" and stream.isatty())
    writer = LogWriter(stream)
    handler = LineHandler(writer, console=console)
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, LineHandler):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    root.setLevel(level)
    # These speak of addresses and statements on levels that are theirs alone to judge.
    for name in ("aiokafka", "asyncio", "sqlalchemy", "alembic", "uvicorn.access", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return writer, RequestLines(writer, console=console, debug=level == "DEBUG")


def _json(record: logging.LogRecord) -> bytes:
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC),
        "level": record.levelname,
        "logger": record.name,
        "message": _message(record),
    }
    line.update(_extra(record))
    if record.exc_info:
        line["exception"] = _exception(*record.exc_info)
    return _encode(line)


def _readable(record: logging.LogRecord) -> bytes:
    parts = [_clock(), record.levelname, record.name, _message(record)]
    parts += [f"{key}={value}" for key, value in _extra(record).items()]
    if record.exc_info:
        parts += [f"[{one}]" for one in _exception(*record.exc_info)]
    return " ".join(parts).encode()


def _message(record: logging.LogRecord) -> str:
    """Return what is said. Of what others say the first line: behind it they quote (I9).

    asyncio puts the repr of a task there, and that the error of the task, with its values.
    """
    text = record.getMessage()
    if not record.name.startswith("govid"):
        text = text.partition("\n")[0]
    return printable(scrubbed(text))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    found = record.__dict__.keys() & MEMBERS
    return {
        key: value
        if isinstance(value := record.__dict__[key], int | float)
        else printable(scrubbed(str(value)))
        for key in sorted(found)
        if record.__dict__[key] is not None
    }


def _exception(
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> list[str]:
    """Return what happened and where. Not the message: drivers quote values in theirs (I9)."""
    lines = []
    while error is not None:
        lines.append(type(error).__qualname__)
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            lines.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_qualname}")
            trace = trace.tb_next
        # Of several that failed together, the first has to stand for all.
        error = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
    return lines or [getattr(kind, "__qualname__", "unknown")]


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
