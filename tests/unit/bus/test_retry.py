"""Which failures say nothing about an event, and how long to wait."""

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from govid.bus.retry import backoff, error_class, fingerprint, is_transient, patience


def wrapped(error: Exception) -> DBAPIError:
    return DBAPIError("SELECT 1", None, error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.SerializationError("x"),
        asyncpg.DeadlockDetectedError("x"),
        asyncpg.AdminShutdownError("x"),
        asyncpg.ConnectionDoesNotExistError("x"),
        asyncpg.IdleInTransactionSessionTimeoutError("x"),
        wrapped(asyncpg.SerializationError("x")),
        wrapped(ConnectionResetError()),
        ConnectionResetError(),
        TimeoutError(),
    ],
)
def test_what_may_pass_by_itself_is_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("x"),
        wrapped(asyncpg.NotNullViolationError("x")),
        ValueError("x"),
        ZeroDivisionError(),
        FileNotFoundError(),
    ],
)
def test_what_will_fail_again_is_not(error: Exception) -> None:
    assert not is_transient(error)


@given(st.integers(1, 10_000), st.floats(1, 300))
def test_back_off_doubles_up_to_its_limit(attempts: int, limit: float) -> None:
    whole = min(2.0 ** min(attempts - 1, 30), limit)
    assert 0.75 * whole <= backoff(attempts, limit) <= whole


@given(st.floats(0, 1e6))
def test_patience_is_as_long_as_the_outage_so_far(elapsed: float) -> None:
    whole = min(max(elapsed, 1.0), 300)
    assert 0.75 * whole <= patience(elapsed, 300) <= whole


def test_i9_what_is_kept_of_an_error_has_none_of_its_text() -> None:
    error = ValueError("AB123456C")
    assert error_class(error) == "builtins.ValueError"
    assert "AB123456C" not in fingerprint(error)
