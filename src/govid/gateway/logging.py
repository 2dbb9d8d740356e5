"""Writes logs as one JSON object per line, with allow-listed members and no personal data (I9).

All code uses the standard library's `logging`, except the request log: because of its volume it
writes its lines directly.

Lines are queued by the standard library's `QueueHandler` and written in batches by a thread of its
`QueueListener`, so that neither a slow disk nor a full pipe can delay a request. If the queue is
full, lines are dropped, and a later line reports how many.
"""

import contextlib
import logging
import threading
import time
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, Literal

import msgspec

from govid.bus.events.masking import mask_text
from govid.gateway.http.hosts import PROBE_PATHS
from govid.gateway.http.request_info import RequestInfo, escape_unprintable

FLUSH_SECONDS = 0.05
MAX_QUEUED_LINES = 50_000


class LogWriter(QueueListener):
    """Writes queued log lines to a stream, in batches, every `FLUSH_SECONDS` and at exit.

    The queue is a `SimpleQueue`, which `write` bounds. A `Queue` with a bound holds a lock while it
    adds a line. If the garbage collector runs then, and a finalizer logs, as those of asyncio do,
    the thread would wait for itself. A `Queue` would also double the cost of a line.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        """Write to *stream*."""
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        super().__init__(self._lines)
        self._stream = stream
        self._stopping = threading.Lock()
        self._is_closed = False
        self.dropped = 0
        self.start()

    def write(self, line: bytes) -> None:
        """Queue *line*, which has no trailing newline; drop it if the queue is full."""
        if self._lines.qsize() >= MAX_QUEUED_LINES:
            self.dropped += 1
        else:
            self._lines.put(line)

    def flush(self) -> None:
        """Write all lines that are queued now."""
        with self._stopping:
            if not self._is_closed:
                self.stop()
                self.start()

    def close(self) -> None:
        """Write the remaining lines and stop the thread."""
        with self._stopping:
            if not self._is_closed:
                self._is_closed = True
                self.stop()

    def dequeue(self, block: bool) -> Any:
        """Wait for a line, and return it with those that follow within `FLUSH_SECONDS`."""
        first = self._lines.get(block)
        if first is None:  # The library's sign that the thread ends.
            return None
        time.sleep(FLUSH_SECONDS)
        lines = [first, *(self._lines.get_nowait() for _ in range(self._lines.qsize()))]
        if None in lines:
            lines.remove(None)
            self._lines.put(None)
        return lines

    def handle(self, record: Any) -> None:
        """Write the lines *record*, and how many were dropped before."""
        dropped, self.dropped = self.dropped, 0
        if dropped:
            record.append(
                b'{"level":"WARNING","message":"log.lines_dropped","records":%d}' % dropped
            )
        # A closed pipe must not stop the service.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(b"\n".join(record) + b"\n")
            self._stream.flush()


STANDARD_ERROR = 2

ALLOWED_MEMBERS = frozenset(
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
        "entry_id",
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
        "position",
        "purpose",
        "reason",
        "records",
        "replay_id",
        "route",
        "selection",
        "setting",
        "sqlstate",
        "subject",
        "subscriber",
        "table",
        "timeline",
        "timeline_before",
        "topic",
        "upstream_id",
        "worker",
    }
)
"""The members that a log call may add to its message (`extra=`); others are dropped (I9)."""

ROUTINE_PATHS = frozenset({*PROBE_PATHS, "/metrics"})
"""Paths that orchestrators and Prometheus request every few seconds."""

_encode = msgspec.json.Encoder().encode


class RequestLogWriter:
    """Writes the request log: one line per request; those of probes and scrapes at level debug."""

    def __init__(self, writer: LogWriter, *, console: bool, debug: bool = False) -> None:
        """Write to *writer*, as text if *console*, else as JSON; probes are logged if *debug*."""
        self._write = writer.write
        self._console = console
        self._debug = debug

    def log_probes(self, is_logged: bool) -> None:
        """Write the lines of probes and scrapes too from now on, or no longer."""
        self._debug = is_logged

    def write_request(self, info: RequestInfo, duration_ms: float) -> None:
        """Write the line of the request *info*."""
        is_routine = info.path in ROUTINE_PATHS
        if is_routine and not self._debug:
            return
        if self._console:
            self._write(
                f"{_clock()} {info.method} {info.path} {info.status} {duration_ms:.1f} ms".encode()
            )
            return
        self._write(
            _encode(
                {
                    "time": datetime.now(UTC),
                    "level": "DEBUG" if is_routine else "INFO",
                    "message": "request",
                    "method": info.method,
                    "path": info.path,
                    "status": info.status,
                    "duration_ms": duration_ms,
                    "client_ip": info.client_ip,
                    "user_id": info.user_id,
                    "correlation_id": info.correlation_id,
                }
            )
        )


class LogLineHandler(QueueHandler):
    """Formats records of the standard library as log lines, in the thread that logs them."""

    def __init__(self, writer: LogWriter, *, console: bool) -> None:
        """Write to *writer*, as text if *console*, else as JSON."""
        super().__init__(writer.queue)
        self._writer = writer
        self._format = _format_text if console else _format_json

    def prepare(self, record: logging.LogRecord) -> bytes:
        """Return the line of *record*."""
        return self._format(record)

    def enqueue(self, record: Any) -> None:
        """Queue the line *record*; the library would raise an error if the queue is full."""
        self._writer.write(record)

    def close(self) -> None:
        """Write the remaining lines; `logging.shutdown` closes all handlers at exit."""
        self._writer.close()
        super().close()


def configure_logging(
    level: str, form: Literal["auto", "json", "console"], stream: IO[bytes] | None = None
) -> tuple[LogWriter, RequestLogWriter]:
    """Configure the logging of this process to *stream* (default: standard error)."""
    # The descriptor and not `sys.stderr`, which other code may replace or close.
    stream = stream or open(STANDARD_ERROR, "wb", closefd=False)  # noqa: SIM115 - open until the end
    console = form == "console" or (form == "auto" and stream.isatty())
    writer = LogWriter(stream)
    handler = LogLineHandler(writer, console=console)
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, LogLineHandler):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    # On lower levels these log addresses and statements, which may be personal data.
    for name in ("aiokafka", "asyncio", "sqlalchemy", "alembic", "uvicorn.access", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What changed while running is logged at every level.
    logging.getLogger("govid.gateway.settings.reloading").setLevel(logging.INFO)
    request_log = RequestLogWriter(writer, console=console)
    change_level(level, request_log)
    return writer, request_log


def change_level(level: str, request_log: RequestLogWriter) -> None:
    """Log from *level* on, and the requests of probes at level debug."""
    logging.getLogger().setLevel(level)
    request_log.log_probes(level == "DEBUG")


def _format_json(record: logging.LogRecord) -> bytes:
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC),
        "level": record.levelname,
        "logger": record.name,
        "message": _masked_message(record),
    }
    line.update(_allowed_members(record))
    if record.exc_info:
        line["exception"] = _describe_exception(*record.exc_info)
    return _encode(line)


def _format_text(record: logging.LogRecord) -> bytes:
    parts = [_clock(), record.levelname, record.name, _masked_message(record)]
    parts += [f"{key}={value}" for key, value in _allowed_members(record).items()]
    if record.exc_info:
        parts += [f"[{one}]" for one in _describe_exception(*record.exc_info)]
    return " ".join(parts).encode()


def _masked_message(record: logging.LogRecord) -> str:
    """Return the masked message; of a library's message only the first line (I9).

    Later lines may quote values: asyncio logs the repr of a task there, and with it the error.
    """
    text = record.getMessage()
    if not record.name.startswith("govid"):
        text = text.partition("\n")[0]
    return escape_unprintable(mask_text(text))


def _allowed_members(record: logging.LogRecord) -> dict[str, Any]:
    names = record.__dict__.keys() & ALLOWED_MEMBERS
    return {
        key: value
        if isinstance(value := record.__dict__[key], int | float)
        else escape_unprintable(mask_text(str(value)))
        for key in sorted(names)
        if record.__dict__[key] is not None
    }


def _describe_exception(
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> list[str]:
    """Return the types and places of an error, not its message: drivers quote values there (I9)."""
    lines = []
    while error is not None:
        lines.append(type(error).__qualname__)
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            lines.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_qualname}")
            trace = trace.tb_next
        # A group is represented by its first error.
        error = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
    return lines or [getattr(kind, "__qualname__", "unknown")]


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
