"""Takes PostgreSQL's advisory locks, for a transaction or for a session."""

from typing import Any


async def try_transaction_lock(driver: Any, key: int) -> bool:
    """Take advisory lock *key* for the open transaction of *driver*; return whether it was free.

    The end of the transaction releases it, so a replica that crashes does not keep it.
    """
    return bool(await driver.fetchval("SELECT pg_try_advisory_xact_lock($1)", key))


async def try_session_lock(driver: Any, key: int) -> bool:
    """Take advisory lock *key* until the session of *driver* ends; return whether it was free."""
    return bool(await driver.fetchval("SELECT pg_try_advisory_lock($1)", key))


async def release_session_lock(driver: Any, key: int) -> None:
    """Release advisory lock *key* of the session of *driver* now.

    The end of the session releases it too, but only when the server has noticed that end.
    """
    await driver.execute("SELECT pg_advisory_unlock($1)", key)
