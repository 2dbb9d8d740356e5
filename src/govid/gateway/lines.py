"""Buffers log lines and writes them in batches, on a thread of its own.

So neither a slow disk nor a full pipe can delay a request. If the buffer is full, lines are
dropped, and a later line reports how many.
"""

import atexit
import contextlib
import threading
import time
from collections import deque
from typing import IO

FLUSH_SECONDS = 0.05
MAX_BUFFERED_LINES = 50_000


class LogWriter:
    """Writes buffered log lines to a stream, every `FLUSH_SECONDS` and at exit."""

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
        """Buffer *line*, which has no trailing newline; drop it if the buffer is full."""
        if len(self._lines) >= MAX_BUFFERED_LINES:
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._pending.is_set():
            self._pending.set()

    def flush(self) -> None:
        """Write all buffered lines."""
        with self._writing:
            # Popped one by one, because other threads append: a swapped-out list could miss a line.
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            dropped, self.dropped = self.dropped, 0
            if dropped:
                lines.append(
                    b'{"level":"WARNING","message":"log.lines_dropped","records":%d}' % dropped
                )
            if lines:
                # A closed pipe must not stop the service.
                with contextlib.suppress(OSError, ValueError):
                    self._stream.write(b"\n".join(lines) + b"\n")
                    self._stream.flush()

    def close(self) -> None:
        """Write the remaining lines and stop the thread."""
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
