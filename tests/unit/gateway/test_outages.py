"""A database that is away is told from a program that is wrong."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from govid.gateway.outages import is_outage


def wrapped(error: Exception) -> DBAPIError:
    """Return *error* as SQLAlchemy hands it on: wrapped twice."""
    inner = RuntimeError("adapted")
    inner.__cause__ = error
    outer = DBAPIError("SELECT 1", None, inner)
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        FileNotFoundError(),
        TimeoutError(),
        PoolTimeout(),
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.AdminShutdownError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.QueryCanceledError(),
        asyncpg.InterfaceError("connection is closed"),
        wrapped(asyncpg.AdminShutdownError()),
    ],
    ids=lambda error: type(error).__name__,
)
def test_away(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        KeyError(),
        asyncpg.UniqueViolationError(),
        asyncpg.UndefinedTableError(),
        wrapped(asyncpg.NotNullViolationError()),
    ],
    ids=lambda error: type(error).__name__,
)
def test_wrong(error: Exception) -> None:
    assert not is_outage(error)
