"""Which failures say nothing about an event, and how long to wait."""

from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from govid.bus.delivery.failures import DeliveryFailure
from govid.bus.storage.errors import (
    DatabaseFault,
    backoff,
    classify_database_error,
    compute_fingerprint,
    error_class_name,
    error_details,
    error_members,
    is_not_storable,
    is_statement_timeout,
    is_transient,
    is_unavailable,
    outage_backoff,
)


def wrapped(error: Exception) -> DBAPIError:
    return DBAPIError("SELECT 1", None, error)


def adapted(error: Exception) -> DBAPIError:
    """Return *error* as SQLAlchemy hands it on: wrapped twice."""
    inner = RuntimeError("adapted")
    inner.__cause__ = error
    outer = DBAPIError("SELECT 1", None, inner)
    outer.__cause__ = inner
    return outer


def of_state(state: str) -> asyncpg.PostgresError:
    """Return the error that the driver makes of a server's message with SQLSTATE *state*."""
    error: asyncpg.PostgresError = asyncpg.PostgresError.new({"C": state, "M": "x", "S": "ERROR"})
    return error


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
    assert 0.75 * whole <= outage_backoff(elapsed, 300) <= whole


def test_i9_what_is_kept_of_an_error_has_none_of_its_text() -> None:
    error = ValueError("AB123456C")
    assert error_class_name(error) == "builtins.ValueError"
    assert "AB123456C" not in compute_fingerprint(error)


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
        adapted(asyncpg.AdminShutdownError()),
    ],
    ids=lambda error: type(error).__name__,
)
def test_database_that_is_away_is_unavailable(error: Exception) -> None:
    assert is_unavailable(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        KeyError(),
        asyncpg.UniqueViolationError(),
        asyncpg.UndefinedTableError(),
        adapted(asyncpg.NotNullViolationError()),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_of_a_statement_is_no_unavailable_database(error: Exception) -> None:
    assert not is_unavailable(error)


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("08000", DatabaseFault.CONNECTION_LOST),
        ("08003", DatabaseFault.CONNECTION_LOST),
        ("08006", DatabaseFault.CONNECTION_LOST),
        ("25006", DatabaseFault.CONNECTION_LOST),
        ("25P03", DatabaseFault.CONNECTION_LOST),
        ("26000", DatabaseFault.CONNECTION_LOST),
        ("28P01", DatabaseFault.ACCESS_REFUSED),
        ("3D000", DatabaseFault.ACCESS_REFUSED),
        ("40001", DatabaseFault.CONFLICT),
        ("40003", DatabaseFault.CONNECTION_LOST),
        ("40P01", DatabaseFault.CONFLICT),
        ("53100", DatabaseFault.OUT_OF_RESOURCES),
        ("53200", DatabaseFault.OUT_OF_RESOURCES),
        ("53300", DatabaseFault.OUT_OF_RESOURCES),
        ("53400", DatabaseFault.OUT_OF_RESOURCES),
        ("55P03", DatabaseFault.CONFLICT),
        ("57014", DatabaseFault.OUT_OF_RESOURCES),
        ("57P01", DatabaseFault.CONNECTION_LOST),
        ("57P02", DatabaseFault.CONNECTION_LOST),
        ("57P03", DatabaseFault.CONNECTION_LOST),
        ("57P05", DatabaseFault.CONNECTION_LOST),
        ("58030", DatabaseFault.OUT_OF_RESOURCES),
        ("22001", None),
        ("23505", None),
        ("42501", None),
        ("42P01", None),
        ("P0001", None),
    ],
)
@pytest.mark.parametrize("wrap", [lambda error: error, wrapped, adapted])
def test_c4_sqlstate_decides(state: str, fault: DatabaseFault | None, wrap: Any) -> None:
    assert classify_database_error(wrap(of_state(state))) is fault


@pytest.mark.parametrize(
    "error", [asyncpg.InvalidCachedStatementError("x"), asyncpg.OutdatedSchemaCacheError("x")]
)
@pytest.mark.parametrize("wrap", [lambda error: error, wrapped, adapted])
def test_c4_stale_plan_is_a_conflict(error: Exception, wrap: Any) -> None:
    assert classify_database_error(wrap(error)) is DatabaseFault.CONFLICT


def test_parameter_that_does_not_fit_is_no_fault_of_the_database() -> None:
    assert classify_database_error(asyncpg.DataError("x")) is None


def test_cause_of_a_handlers_own_error_is_not_taken_for_the_databases() -> None:
    error = ValueError("x")
    error.__cause__ = TimeoutError()
    assert not is_transient(error)


@pytest.mark.parametrize(
    ("state", "refused"),
    [("22021", True), ("54000", True), ("23514", False), ("40001", False), ("42501", False)],
)
def test_content_is_distinguished_from_circumstance(state: str, refused: bool) -> None:
    assert is_not_storable(of_state(state)) is refused


@pytest.mark.parametrize("wrap", [lambda error: error, wrapped, adapted])
def test_sqlstate_is_among_the_members_of_a_log_line(wrap: Any) -> None:
    error = wrap(of_state("42501"))
    assert error_members(error) == {"error_class": error_class_name(error), "sqlstate": "42501"}


def test_an_error_that_is_its_own_cause_is_classified() -> None:
    error = of_state("57P03")
    error.__cause__ = error
    assert error_members(error)["sqlstate"] == "57P03"


def test_error_without_sqlstate_has_none_in_its_log_line() -> None:
    assert error_members(KeyError("x")) == {"error_class": "builtins.KeyError"}


def test_f12_details_name_state_constraint_and_frames_and_no_message() -> None:
    error = asyncpg.PostgresError.new(
        {"C": "23505", "M": "AB123456C", "S": "ERROR", "n": "account_email_key"}
    )
    with pytest.raises(DBAPIError) as caught:
        raise wrapped(error)
    details = error_details(caught.value)
    assert details["sqlstate"] == "23505"
    assert details["constraint"] == "account_email_key"
    assert "test_errors.py" in details["frames"]
    assert "test_f12_details_name_state" in details["frames"]
    assert "AB123456C" not in str(details)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (of_state("P0001"), "(SQLSTATE P0001)"),
        (wrapped(of_state("23514")), "sqlalchemy.exc.DBAPIError (SQLSTATE 23514)"),
        (KeyError("x"), "builtins.KeyError"),
    ],
)
def test_f12_stored_class_of_a_failure_has_its_state(error: Exception, shown: str) -> None:
    assert DeliveryFailure.from_error("error", error).error_class.endswith(shown)


@pytest.mark.parametrize(
    ("error", "has_timed_out"),
    [
        (of_state("57014"), True),
        (wrapped(of_state("57014")), True),
        (TimeoutError(), True),
        (of_state("57P01"), False),
        (of_state("55P03"), False),
        (ConnectionResetError(), False),
    ],
)
def test_a1_a_statement_timeout_is_distinguished_from_other_faults(
    error: Exception, has_timed_out: bool
) -> None:
    assert is_statement_timeout(error) is has_timed_out
