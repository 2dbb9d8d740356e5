"""Tells a database that is away from a program that is wrong."""

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_AWAY = (
    OSError,  # refused, reset, timed out, or a socket file that is gone
    PoolTimeout,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


def is_outage(error: BaseException | None) -> bool:
    """Tell whether *error* means that the database cannot be reached or does not answer in time.

    The driver's error stands at the end of a chain: SQLAlchemy wraps it twice.
    """
    if error is None:
        return False
    if isinstance(error, _AWAY):
        return True
    if isinstance(error, asyncpg.InterfaceError):
        # A connection that broke; those that are ValueErrors too are mistakes of ours.
        return not isinstance(error, ValueError)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return is_outage(error.__cause__)
