"""Runs an application under uvicorn in this process: for `dev`, `serve` and `simulators`.

A first SIGTERM or Ctrl-C stops the server in this order: the process reports that it is not ready
(`ConnectionDrain`), the listener closes, running requests finish, the application stops. A second
one ends it without waiting for clients. SIGHUP reloads the settings of `govid serve`.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from copy import copy
from functools import partial
from types import FrameType
from typing import Any, NamedTuple

import uvicorn
from uvicorn.lifespan.on import LifespanOn

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.serving.listening import BACKLOG, HangupSignal
from govid.gateway.cli.target import explain_database_error
from govid.gateway.http.draining import ConnectionDrain
from govid.gateway.http.protocol import LimitedHttpProtocol
from govid.identity import UnreadableKey

log = logging.getLogger(__name__)

GRACE_SECONDS = 10
"""How long running requests may take once the listener is closed."""
TICK_SECONDS = 0.1


class HangupReload(NamedTuple):
    """What a server does when SIGHUP has arrived."""

    hangups: HangupSignal
    reload: Callable[[], Coroutine[Any, Any, None]]


class GracefulServer(uvicorn.Server):
    """A uvicorn server that calls back when it is ready, and drains before it stops."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        drain: ConnectionDrain | None = None,
        reload: HangupReload | None = None,
        *,
        ends_on_second_signal: bool = True,
    ) -> None:
        """Call *ready* once the application has started and connections are accepted.

        *reload* is carried out while the server is ready, for a SIGHUP during its start too.
        With *ends_on_second_signal* a second SIGTERM ends the server as a second Ctrl-C does.
        """
        super().__init__(config)
        self._ready = ready
        self._drain = drain or ConnectionDrain()
        self._reload = reload
        self._reload_task: asyncio.Task[None] | None = None
        self._ends_on_second_signal = ends_on_second_signal
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, listen, and call back."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def main_loop(self) -> None:
        """Serve until a signal arrives, then drain."""
        await super().main_loop()
        if self._drain.seconds and not self.force_exit:
            log.info("server.draining")
        await self._drain.run(self._wait_for_tick)

    async def on_tick(self, counter: int) -> bool:
        """Do what is due ten times a second; return whether the server stops."""
        is_reloading = self._reload_task is not None and not self._reload_task.done()
        if self._reload is not None and not is_reloading and self._reload.hangups.consume():
            self._reload_task = asyncio.create_task(self._reload.reload())
            self._reload_task.add_done_callback(_log_failure)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop the server; end it at once if it is stopping already."""
        if self.should_exit and self._ends_on_second_signal:
            self.end_at_once()
        super().handle_exit(sig, frame)
        if self.force_exit:
            self.end_at_once()

    def end_at_once(self) -> None:
        """End the server without a drain, and without waiting for requests. For signal handlers."""
        self.should_exit = self.force_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._abort_connections)

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    async def _wait_for_tick(self, seconds: float) -> bool:
        """Wait at most *seconds*, and do what uvicorn does meanwhile; false if the drain ends."""
        await asyncio.sleep(min(seconds, TICK_SECONDS))
        # At 0 the `Date` header is set anew.
        await self.on_tick(0)
        return not self.force_exit


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log that a reload has failed, which must not end the server."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("settings.reload_failed", exc_info=error)


def build_server_config(application: Any) -> uvicorn.Config:
    """Return uvicorn's configuration. `EdgeMiddleware` itself logs and reads proxy headers."""
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=LimitedHttpProtocol,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )


def run_server(
    application: Any,
    listener: socket.socket,
    ready: Callable[[], None],
    drain: ConnectionDrain | None = None,
    reload: HangupReload | None = None,
) -> None:
    """Serve until a signal ends the server, with *drain* before that; *reload* on SIGHUP.

    Raises:
        CommandError: the application did not start; the message gives the reason.
    """
    errors: list[Exception] = []
    config = build_server_config(application)
    config.load()
    config.lifespan_class = partial(_WatchedLifespan, errors)
    server = GracefulServer(config, ready, drain, reload)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return
    except SystemExit as error:
        raise _explain_failed_start(errors) from error
    if not server.started:
        raise _explain_failed_start(errors)


class _WatchedLifespan(LifespanOn):
    """Runs the application's lifespan, and stores the error with which it failed.

    Connections still get the application object itself, because they use its attributes.
    """

    def __init__(self, errors: list[Exception], config: uvicorn.Config) -> None:
        """Append to *errors*."""
        application: Any = config.loaded_app

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            try:
                await application(scope, receive, send)
            except Exception as error:
                errors.append(error)
                raise

        own = copy(config)
        own.loaded_app = watched
        super().__init__(own)


def _explain_failed_start(errors: list[Exception]) -> CommandError:
    if not errors:
        return CommandError(
            "the server stopped during its start.", "Its log lines give the reason."
        )
    error = _find_first_error(errors[0])
    explained = (
        _explain_unreadable_key()
        if isinstance(error, UnreadableKey)
        else explain_database_error(error)
    )
    if explained is None:
        return CommandError(
            f"the application did not start ({type(error).__name__}).",
            "`govid check` lists every fault; --debug shows the traceback.",
        )
    started = type(explained)(f"the application did not start: {explained.message}")
    started.remedy = explained.remedy
    return started


def _find_first_error(error: BaseException) -> BaseException:
    """Return the first error in *error*, which may be a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _explain_unreadable_key() -> CommandError:
    return CommandError(
        "GOVID_KEY_ENCRYPTION_KEY is not the key that this database was used with.",
        "Set the key that its server uses; a former key goes to GOVID_OLD_KEY_ENCRYPTION_KEY.",
    )
