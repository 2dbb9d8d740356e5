"""Runs an application under uvicorn in this process: for `dev`, `serve` and `simulators`."""

import socket
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import uvicorn
from uvicorn.lifespan.on import LifespanOn

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.serving.listening import BACKLOG
from govid.gateway.cli.target import explain_database_error
from govid.gateway.http.protocol import LimitedHttpProtocol
from govid.identity import UnreadableKey

GRACE_SECONDS = 10
"""How long running requests may take once the server is stopped."""


class NotifyingServer(uvicorn.Server):
    """A uvicorn server that calls back when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        """Call *ready* once the application has started and connections are accepted."""
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, listen, and call back."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def build_server_config(
    application: Any, *, workers: int = 1, factory: bool = False
) -> uvicorn.Config:
    """Return uvicorn's configuration. `EdgeMiddleware` itself logs and reads proxy headers."""
    return uvicorn.Config(
        application,
        factory=factory,
        workers=workers,
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


def run_server(application: Any, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal ends the server.

    Raises:
        CommandError: the application did not start; the message gives the reason.
    """
    errors: list[Exception] = []
    config = build_server_config(application)
    config.load()
    config.lifespan_class = partial(_WatchedLifespan, errors)
    server = NotifyingServer(config, ready)
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
