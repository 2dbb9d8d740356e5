"""What a driver raises becomes a sentence, a remedy and the documented exit code."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from govid.bus.storage.connection import DatabaseUnreachable
from govid.gateway.cli.target import explain_database_error

SECRET = "ada@example.com"


def raised(kind: type[Exception], message: str) -> Exception:
    return kind(message)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT"),
            4,
            "the database accepts no writes: it is read-only, or a standby.",
        ),
        (
            asyncpg.InsufficientPrivilegeError("permission denied for table account"),
            1,
            "the database role lacks the privilege on table account.",
        ),
        (
            asyncpg.InsufficientPrivilegeError("permission denied for schema public"),
            1,
            "the database role lacks USAGE or CREATE on schema public.",
        ),
        (
            asyncpg.InsufficientPrivilegeError("must be owner of table event"),
            1,
            "the database role is not the owner of table event.",
        ),
        (
            asyncpg.UndefinedTableError(f'relation "x" does not exist {SECRET}'),
            3,
            "the database lacks a table of this release.",
        ),
        (
            asyncpg.InvalidPasswordError("password authentication failed"),
            4,
            "the database refuses this role or its password.",
        ),
        (
            asyncpg.TooManyConnectionsError("sorry, too many clients already"),
            4,
            "the database has no connection left for this command.",
        ),
        (
            asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
            1,
            "another session holds a lock that this command needs; nothing was changed.",
        ),
        (
            asyncpg.UniqueViolationError(f"duplicate key value {SECRET}"),
            1,
            "the database refused a statement (SQLSTATE 23505).",
        ),
        (
            asyncpg.InterfaceError("connection is closed"),
            4,
            "the connection to the database was lost.",
        ),
        (
            DatabaseUnreachable("no connection to PostgreSQL at db:5432 (connection refused)"),
            4,
            "no connection to PostgreSQL at db:5432 (connection refused).",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value)[:20],
)
def test_f10_an_error_of_the_database_is_a_sentence(
    error: Exception, code: int, sentence: str
) -> None:
    explained = explain_database_error(error)
    assert explained is not None
    assert (explained.exit_code, explained.message) == (code, sentence)
    assert explained.remedy
    assert SECRET not in explained.format_message()


def test_f10_what_sqlalchemy_wraps_is_judged_by_its_cause() -> None:
    cause = asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT")
    explained = explain_database_error(DBAPIError("INSERT", {}, cause))
    assert explained is not None
    assert explained.message == "the database accepts no writes: it is read-only, or a standby."


@pytest.mark.parametrize("error", [ZeroDivisionError(), FileNotFoundError("x"), KeyError("x")])
def test_f10_what_no_database_raised_is_left_alone(error: Exception) -> None:
    assert explain_database_error(error) is None
