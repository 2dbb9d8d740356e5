"""Names what is raised when the database fails a worker, whichever way the worker speaks to it."""

from sqlalchemy.exc import SQLAlchemyError

from govid.bus.storage.errors import DRIVER_ERRORS

DATABASE_UNAVAILABLE = (*DRIVER_ERRORS, SQLAlchemyError)
"""What a statement or a connection attempt raises, by either driver, when the database fails it.

For workers that report a failed round and try again. It says nothing about the cause:
`errors.classify` does.
"""
