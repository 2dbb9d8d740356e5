"""Loads named SQL statements from `.sql` files, and takes PostgreSQL's advisory locks."""

import re
from importlib import resources
from typing import Any

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_statements(package: str, file: str = "queries.sql") -> dict[str, str]:
    """Return the statements of the `.sql` *file* in *package*, by name."""
    text = resources.files(package).joinpath(file).read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


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
