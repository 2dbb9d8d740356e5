"""Collects log lines and writes them many at a time.

A thread of its own writes: neither a slow disk nor a full pipe can hold up a request. What
overflows is dropped, and the next lines say how many.
"""

import atexit
import contextlib
import threading
import time
from collections import deque
from typing import IO

FLUSH_SECONDS = 0.05
LIMIT = 50_000


class LogWriter:
    """Writes lines to a stream, every `FLUSH_SECONDS` and at exit."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Write to *stream*."""
        self._stream = stream
        self._lines: deque[bytes] = deque()
        self._pending = threading.Event()
        self._writing = threading.Lock()
        self._closed = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="govid-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: bytes) -> None:
        """Take *line*, which ends without a newline."""
        if len(self._lines) >= LIMIT:
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._pending.is_set():
            self._pending.set()

    def flush(self) -> None:
        """Write everything that was taken."""
        with self._writing:
            # One by one, as others append meanwhile: a list swapped out could still get a line.
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            dropped, self.dropped = self.dropped, 0
            if dropped:
                lines.append(
                    b'{"level":"WARNING","message":"log.lines_dropped","records":%d}' % dropped
                )
            if lines:
                # A closed pipe must not take the service down with it.
                with contextlib.suppress(OSError, ValueError):
                    self._stream.write(b"\n".join(lines) + b"\n")
                    self._stream.flush()

    def close(self) -> None:
        """Write the rest and stop the thread."""
        self._closed = True
        self._pending.set()
        self._thread.join(timeout=2)
        self.flush()
        atexit.unregister(self.close)

    def _run(self) -> None:
        while not self._closed:
            self._pending.wait()
            self._pending.clear()
            time.sleep(FLUSH_SECONDS)
            self.flush()
