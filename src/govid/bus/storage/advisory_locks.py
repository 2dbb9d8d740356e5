"""Advisory locks of PostgreSQL, which hold for a transaction or for a session."""

from typing import Any


async def try_transaction_lock(driver: Any, key: int) -> bool:
    """Take advisory lock *key* for the open transaction of *driver*, unless a session holds it.

    It is released by the end of the transaction: a replica that dies does not keep it.
    """
    return bool(await driver.fetchval("SELECT pg_try_advisory_xact_lock($1)", key))


async def try_session_lock(driver: Any, key: int) -> bool:
    """Take advisory lock *key* until the session of *driver* ends, unless another one holds it."""
    return bool(await driver.fetchval("SELECT pg_try_advisory_lock($1)", key))


async def release_session_lock(driver: Any, key: int) -> None:
    """Release advisory lock *key* of the session of *driver* now.

    The end of the session releases it as well, but only when the server has noticed that end.
    """
    await driver.execute("SELECT pg_advisory_unlock($1)", key)
