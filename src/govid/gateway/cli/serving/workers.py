"""Runs several worker processes of `govid serve`, which share one listener.

A worker that has ended, or no longer answers, is replaced. If the replacement does not start, for
example because `.env` has become invalid, the other workers go on, and it is tried again at longer
and longer intervals. Workers whose supervisor was killed stop as at SIGTERM.

A first SIGTERM or Ctrl-C stops all workers in good order. A second one ends them without waiting
for their clients. SIGHUP is passed on to the workers, each of which reloads its settings.

The processes are uvicorn's. Its supervisor is not used. It keeps a copy of the listener until the
last worker has ended, so that clients connect although no worker accepts them. It also ignores a
second signal, and restarts all workers on SIGHUP.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pickle import UnpicklingError
from queue import Empty, SimpleQueue
from time import monotonic
from types import FrameType
from typing import NamedTuple, Self

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Process

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.output import print_note
from govid.gateway.cli.serving.listening import find_terminals, replace_closed_terminals
from govid.gateway.cli.serving.uvicorn_server import GracefulServer, build_server_config
from govid.gateway.settings import SettingsError

CHECK_SECONDS = 0.5
"""How often the supervisor checks whether its workers live."""
LONGEST_RETRY_SECONDS = 60.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
END_SIGNAL = signal.SIGQUIT
"""Ends a worker at once. A second SIGTERM cannot do that: a service manager may send SIGTERM to all
processes, so that a worker receives a first one from it and a second one from the supervisor."""

BuildServer = Callable[[int, Callable[[], None]], GracefulServer]
"""Builds the server of the worker with this number (from 0), in its process; can be pickled. The
server calls the function that is given, once it has started."""


class WorkerProcess(Process):
    """A process with a server of its own."""

    _server: GracefulServer | None = None

    def __init__(
        self,
        build_server: Callable[[Callable[[], None]], GracefulServer],
        config: uvicorn.Config,
        listener: socket.socket,
    ) -> None:
        """Prepare a process; `start` starts it. Only the server of *build_server* listens."""
        self._build_server = build_server
        self.has_started = False
        self.is_gone = False
        """Whether the process has ended and its pipes are closed."""
        self.refusal: str | None = None
        """The reason for which the process refused to start."""
        # A pipe of its own: a report that waits in it outlives the process.
        self._report_reader, self._report_writer = multiprocessing.Pipe(duplex=False)
        super().__init__(config, [listener])

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the server, in the worker's process, and answer the supervisor meanwhile."""
        threading.Thread(target=_stop_with_supervisor, daemon=True).start()
        threading.Thread(target=self.always_pong, daemon=True).start()
        try:
            server = self._build_server(partial(self._report, None))
        except (SettingsError, CommandError) as error:
            # The supervisor prints it, because it knows whether it has done so before.
            self._report(str(error))
            sys.exit(STARTUP_FAILURE)
        self._server = server
        signal.signal(END_SIGNAL, lambda *_: server.end_at_once())
        server.run(sockets)

    def _report(self, refusal: str | None) -> None:
        """Report from the worker's process that it has started, or why it has not."""
        with suppress(OSError):
            self._report_writer.send(refusal)

    def _read_report(self) -> None:
        """Read in the supervisor what the process has reported, if it has."""
        # A process that was killed may have written a part.
        with suppress(OSError, EOFError, UnpicklingError):
            if self._report_reader.poll():
                self.refusal = self._report_reader.recv()
                self.has_started = self.refusal is None

    def pong(self) -> None:
        """Answer one question of the supervisor with whether the server has started."""
        self.child_conn.recv()
        self.child_conn.send(self._server is not None and self._server.started)

    def is_alive(self, timeout: float = 5) -> bool:
        """Return whether the process runs and, once it has started, answers within *timeout*."""
        if not self.process.is_alive():
            return False
        if not self.has_started:
            # The imports of a start take seconds, in which a busy process may not answer.
            self._read_report()
            return True
        return self.ping(timeout)

    def remove(self) -> None:
        """End the process if it runs, and read what it has reported."""
        self.kill()
        self.join()
        if not self.has_started:
            self._read_report()
        self.is_gone = True
        self._report_reader.close()
        self._report_writer.close()

    def send(self, number: int) -> None:
        """Send a signal to the process, if it runs."""
        if self.pid is not None and self.process.is_alive():
            os.kill(self.pid, number)


def _stop_with_supervisor() -> None:
    """Stop this worker as SIGTERM does once its supervisor has ended, however that happened.

    A supervisor that stops waits for its workers. Only one that was killed ends before them, and
    the next start could not open the port while they hold it.
    """
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)


class Replacement(NamedTuple):
    """An attempt to replace a worker, after one that failed for *reason*."""

    reason: str
    wait_seconds: float
    due_at: float
    """When it begins, by the monotonic clock."""

    @classmethod
    def after(cls, failed: Self | None, reason: str, now: float) -> Self:
        """Return the attempt after *failed*, None for the first: after 1, 2, 4 ... 60 seconds."""
        seconds = 1.0 if failed is None else min(2 * failed.wait_seconds, LONGEST_RETRY_SECONDS)
        return cls(reason, seconds, now + seconds)


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
        self._have_served: set[int] = set()
        """The numbers of the workers that have started at least once."""
        self._replacements: dict[int, Replacement] = {}
        """Attempts after failed ones, by the number of the worker, until one has started."""
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._terminals = find_terminals()
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            signal.signal(number, self._note_signal)

    def run(self) -> None:
        """Run the workers until a signal stops them.

        Raises:
            CommandError: a worker could not start, and it was one of the first or no other serves.
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
            if worker.is_gone:
                if monotonic() >= self._replacements[number].due_at:
                    self._workers[number] = self._start_worker(number)
                continue
            if worker.is_alive(self._config.timeout_worker_healthcheck):
                if worker.has_started:
                    self._note_start(number, worker)
                continue
            worker.remove()
            if not worker.has_started:
                self._postpone(number, worker)
                continue
            self._note_start(number, worker)
            print_note(f"Worker {worker.pid} has ended, another one takes its place")
            self._workers[number] = self._start_worker(number)

    def _note_start(self, number: int, worker: WorkerProcess) -> None:
        self._have_served.add(number)
        if self._replacements.pop(number, None) is not None:
            print_note(f"Worker {worker.pid} has started, after attempts that failed")

    def _postpone(self, number: int, worker: WorkerProcess) -> None:
        """Try later to replace a worker that did not start.

        Raises:
            CommandError: it failed as one of the first, or while no other worker serves. A service
                manager sees that the command has ended, and the port does not stay open for none.
        """
        is_needed = number not in self._have_served or not self._serves()
        if worker.exitcode == STARTUP_FAILURE and is_needed:
            if worker.refusal is None:
                raise CommandError("a worker did not start.", "Its log lines give the reason.")
            raise CommandError(
                f"a worker did not start: {worker.refusal}", "`govid check` lists every fault."
            )
        reason = worker.refusal or f"exit code {worker.exitcode}, its log lines give the reason"
        if all(reason != one.reason for one in self._replacements.values()):
            print_note(
                f"A worker has ended, and the next one does not start: {reason}. "
                "Attempts go on at longer and longer intervals."
            )
        failed = self._replacements.get(number)
        self._replacements[number] = Replacement.after(failed, reason, monotonic())

    def _serves(self) -> bool:
        """Return whether a worker runs that has started."""
        return any(one.has_started and one.process.is_alive() for one in self._workers)

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
