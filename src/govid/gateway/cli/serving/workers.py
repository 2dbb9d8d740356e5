"""Runs several worker processes of `govid serve`, which share one listener.

A worker that has ended, or no longer answers, is replaced. A first SIGTERM or Ctrl-C stops all
workers in good order. A second one ends them without waiting for their clients. SIGHUP is passed on
to the workers, each of which reloads its settings.

The processes are uvicorn's. Its supervisor is not used. It keeps a copy of the listener until the
last worker has ended, so that clients connect although no worker accepts them. It also ignores a
second signal, and restarts all workers on SIGHUP.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from types import FrameType

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Process

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.output import print_note
from govid.gateway.cli.serving.listening import find_terminals, replace_closed_terminals
from govid.gateway.cli.serving.uvicorn_server import GracefulServer, build_server_config

CHECK_SECONDS = 0.5
"""How often the supervisor checks whether its workers live."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
END_SIGNAL = signal.SIGQUIT
"""Ends a worker at once. A second SIGTERM cannot do that: a service manager may send SIGTERM to all
processes, so that a worker receives a first one from it and a second one from the supervisor."""

BuildServer = Callable[[int], GracefulServer]
"""Builds the server of the worker with this number (from 0), in its process; can be pickled."""


class WorkerProcess(Process):
    """A process with a server of its own."""

    _server: GracefulServer | None = None

    def __init__(
        self,
        build_server: Callable[[], GracefulServer],
        config: uvicorn.Config,
        listener: socket.socket,
    ) -> None:
        """Prepare a process; `start` starts it. Only the server of *build_server* listens."""
        self._build_server = build_server
        self._has_started = False
        super().__init__(config, [listener])

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the server, in the worker's process, and answer the supervisor meanwhile."""
        threading.Thread(target=self.always_pong, daemon=True).start()
        server = self._server = self._build_server()
        signal.signal(END_SIGNAL, lambda *_: server.end_at_once())
        server.run(sockets)

    def pong(self) -> None:
        """Answer one question of the supervisor with whether the server has started."""
        self.child_conn.recv()
        self.child_conn.send(self._server is not None and self._server.started)

    def is_alive(self, timeout: float = 5) -> bool:
        """Return whether the process runs and, once it has started, answers within *timeout*."""
        if not self.process.is_alive():
            return False
        if not self._has_started:
            # The imports of a start take seconds, in which a busy process may not answer.
            self._has_started = self.is_ready(timeout=0)
            return True
        return self.ping(timeout)

    def send(self, number: int) -> None:
        """Send a signal to the process, if it runs."""
        if self.pid is not None and self.process.is_alive():
            os.kill(self.pid, number)


class WorkerSupervisor:
    """Starts, replaces and stops the workers of one listener."""

    def __init__(self, build_server: BuildServer, workers: int, listener: socket.socket) -> None:
        """Handle signals from now on; `run` starts the *workers*."""
        self._build_server = build_server
        self._worker_count = workers
        self._listener = listener
        # Uvicorn's process passes it on; the server of the worker has its own.
        self._config = build_server_config(None)
        self._workers: list[WorkerProcess] = []
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._terminals = find_terminals()
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            signal.signal(number, self._note_signal)

    def run(self) -> None:
        """Run the workers until a signal stops them.

        Raises:
            CommandError: a worker could not start; its log lines give the reason.
        """
        self._workers = [self._start_worker(number) for number in range(self._worker_count)]
        try:
            while not self._is_stopped():
                self._replace_ended_workers()
        finally:
            # The workers have copies: the listener closes when the last one has drained.
            self._listener.close()
            for worker in self._workers:
                worker.terminate()
            self._wait_for_workers()

    def _start_worker(self, number: int) -> WorkerProcess:
        worker = WorkerProcess(partial(self._build_server, number), self._config, self._listener)
        # A signal that arrives before the worker handles it would end it, so it waits until then.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        worker.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        return worker

    def _is_stopped(self) -> bool:
        """Wait for a signal, but not for long; return whether it stops the workers."""
        try:
            number = self._signals.get(timeout=CHECK_SECONDS)
        except Empty:
            return False
        if number != signal.SIGHUP:
            return True
        self._pass_on_hangup()
        return False

    def _pass_on_hangup(self) -> None:
        replace_closed_terminals(self._terminals)
        for worker in self._workers:
            worker.send(signal.SIGHUP)

    def _replace_ended_workers(self) -> None:
        for number, worker in enumerate(self._workers):
            if worker.is_alive(self._config.timeout_worker_healthcheck):
                continue
            worker.kill()
            worker.join()
            if worker.exitcode == STARTUP_FAILURE:
                raise CommandError("a worker did not start.", "Its log lines give the reason.")
            print_note(f"Worker {worker.pid} has ended, another one takes its place")
            self._workers[number] = self._start_worker(number)

    def _wait_for_workers(self) -> None:
        """Wait until all workers have ended; another signal ends them at once."""
        while any(worker.process.is_alive() for worker in self._workers):
            with suppress(Empty):
                if self._signals.get(timeout=CHECK_SECONDS / 5) == signal.SIGHUP:
                    self._pass_on_hangup()
                    continue
                for worker in self._workers:
                    worker.send(END_SIGNAL)

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        # A `SimpleQueue` may be used by a signal handler that interrupts its own reader.
        del frame
        self._signals.put(number)
