"""Finds privileges of the database role beyond those that govid needs."""

from govid.bus.storage.connection import ConnectionFactory, InvalidConnectionUrl
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway.settings import Settings

_ROLE = """
    SELECT r.rolname AS name, r.rolsuper AS is_superuser,
           EXISTS (
               SELECT FROM pg_catalog.pg_class c
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'bus' AND c.relname = 'event' AND c.relowner = r.oid
           ) AS is_owner
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
"""


async def role_warnings(settings: Settings) -> list[str]:
    """Return warnings about excessive privileges; none if the database is unavailable."""
    if not settings.bus.database_url:
        return []
    try:
        factory = ConnectionFactory(settings.bus.database_url, application="govid check")
        connection = await factory.connect()
    except (InvalidConnectionUrl, *DRIVER_ERRORS):
        return []  # `backend_problems` reports the reason.
    try:
        role = await connection.fetchrow(_ROLE)
    finally:
        await connection.close()
    found = {
        "is a superuser: it may read and change everything, stored events included; give govid a "
        "role of its own": role["is_superuser"],
        "owns the tables, so it may remove the triggers that protect events; let `govid migrate` "
        "run as the owner and `govid serve` as another role": role["is_owner"],
    }
    # A superuser usually owns the tables too; the first warning is sufficient.
    texts = [text for text, is_so in found.items() if is_so]
    return [f"the database role {role['name']} {text}" for text in texts[:1]]
