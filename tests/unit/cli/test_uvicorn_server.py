"""A server whose start fails says why, in the sentence and with the exit code of the reason."""

import socket
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from govid.bus.storage.connection import DatabaseUnreachable
from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.serving import uvicorn_server
from govid.identity import UnreadableKey


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            DatabaseUnreachable("no connection to PostgreSQL at db:5432 (refused)"),
            4,
            "the application did not start: no connection to PostgreSQL at db:5432 (refused).",
        ),
        (
            asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT"),
            4,
            (
                "the application did not start: the database accepts no writes: it is read-only, "
                "or a standby."
            ),
        ),
        (
            ExceptionGroup("start", [ExceptionGroup("tasks", [UnreadableKey("sealed")])]),
            1,
            (
                "the application did not start: GOVID_KEY_ENCRYPTION_KEY is not the key that this "
                "database was used with."
            ),
        ),
        (
            ExceptionGroup("start", [DatabaseUnreachable("no connection to PostgreSQL at db:1")]),
            4,
            "the application did not start: no connection to PostgreSQL at db:1.",
        ),
        (
            ExceptionGroup("start", [KeyError("ada@example.com"), ValueError("x")]),
            1,
            "the application did not start (KeyError).",
        ),
        (KeyError("ada@example.com"), 1, "the application did not start (KeyError)."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_f10_a_start_that_fails_says_why(
    listener: socket.socket, error: Exception, code: int, sentence: str
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise error

    with pytest.raises(CommandError) as raised:
        uvicorn_server.run_server(application, listener, lambda: None)
    assert (raised.value.exit_code, raised.value.message) == (code, sentence)
