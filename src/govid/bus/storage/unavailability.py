"""Lists the errors that a worker gets from an unavailable database, by either driver."""

from sqlalchemy.exc import SQLAlchemyError

from govid.bus.storage.errors import DRIVER_ERRORS

DATABASE_UNAVAILABLE = (*DRIVER_ERRORS, SQLAlchemyError)
"""The errors of asyncpg and SQLAlchemy when a statement or a connection attempt fails in the
database.

For workers that log a failed round and retry. `errors.classify_database_error` returns the kind.
"""
