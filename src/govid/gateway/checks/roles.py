"""Warns about privileges of the database role that defeat the separation of roles (ADR-0039).

A membership counts even where the role does not inherit it, because `SET ROLE` uses it.
"""

from collections.abc import Mapping
from typing import Any

from govid.bus.storage.connection import (
    InvalidConnectionUrl,
)
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway.checks.connections import build_check_factory
from govid.gateway.settings import Settings

SUPERUSER = (
    "is a superuser: it may read and change everything, stored events included; create roles "
    "with `govid migrate --database-roles` (docs/operations.md)"
)
OWNER = (
    "owns the tables, so it may remove the triggers that protect events; let `govid migrate` run "
    "as the owner and `govid serve` as another role"
)
PREDEFINED: Mapping[str, str] = {
    "pg_write_all_data": "it may change all rows, the stored retention included",
    "pg_read_all_data": "it may read all rows of the database",
    "pg_execute_server_program": "it may run programs on the database server",
    "pg_write_server_files": "it may write files of the database server",
    "pg_read_server_files": "it may read files of the database server",
    "pg_maintain": "it may lock every table",
}
"""Roles of PostgreSQL that go beyond the privileges of govid, and what their members may do."""

_ROLE = """
    WITH held AS (
        SELECT r.* FROM pg_catalog.pg_roles r WHERE pg_has_role(current_user, r.oid, 'MEMBER')
    ),
    object AS (
        SELECT n.nspname, c.relname, c.oid, c.relowner FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'audit' AND c.relkind = 'r'
            OR n.nspname = 'bus' AND c.relname IN ('event', 'retention')
    )
    SELECT current_user::text AS name,
           EXISTS (SELECT FROM held WHERE rolsuper) AS is_superuser,
           EXISTS (
               SELECT FROM object JOIN held ON held.oid = relowner WHERE relname <> 'retention'
           ) AS is_owner,
           EXISTS (
               SELECT FROM pg_catalog.pg_database d JOIN held ON held.oid = d.datdba
               WHERE d.datname = current_database()
           ) OR EXISTS (
               SELECT FROM pg_catalog.pg_namespace n JOIN held ON held.oid = n.nspowner
               WHERE n.nspname = 'public'
           ) AS owns_database,
           -- Later versions let it grant only the roles that it administers.
           current_setting('server_version_num')::integer < 160000
               AND EXISTS (SELECT FROM held WHERE rolcreaterole) AS may_grant_roles,
           EXISTS (SELECT FROM held WHERE rolreplication) AS may_replicate,
           EXISTS (
               SELECT FROM object
               WHERE has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE')
                   OR relname = 'retention' AND has_table_privilege(oid, 'INSERT')
           ) AS may_change,
           ARRAY(
               SELECT rolname::text FROM held WHERE rolname = ANY($1::text[]) ORDER BY 1
           ) AS predefined
"""


async def role_warnings(settings: Settings) -> list[str]:
    """Return warnings about excessive privileges; none if the database is unavailable."""
    if not settings.bus.database_url:
        return []
    try:
        factory = build_check_factory(settings.bus.database_url)
        connection = await factory.connect()
    except (InvalidConnectionUrl, *DRIVER_ERRORS):
        return []  # `backend_problems` reports the reason.
    try:
        role = await connection.fetchrow(_ROLE, list(PREDEFINED))
    finally:
        await connection.close()
    return [f"the database role {role['name']} {text}" for text in _describe_excess(role)]


def _describe_excess(role: Mapping[str, Any]) -> list[str]:
    """Return what *role* may do too much, a row of the query.

    A superuser has all privileges and an owner most of them, and both have the same remedy.
    """
    if role["is_superuser"]:
        return [SUPERUSER]
    if role["is_owner"]:
        return [OWNER]
    found = {
        "owns the database or schema public, so it may drop the database and replace the table of "
        "the version, which `govid migrate` reads as the owner; give both to a role that no server "
        "uses": role["owns_database"],
        "has CREATEROLE, with which it may make itself a member of the owner before PostgreSQL 16; "
        "take that away": role["may_grant_roles"],
        "has REPLICATION, with which it may copy all databases of the server; take that away": (
            role["may_replicate"]
        ),
    }
    texts = [text for text, is_so in found.items() if is_so]
    names = role["predefined"]
    texts += [f"is a member of {name}: {PREDEFINED[name]}; revoke that" for name in names]
    # A member of pg_write_all_data has these privileges too.
    if role["may_change"] and "pg_write_all_data" not in names:
        texts.append(
            "may update, delete or truncate rows of bus.event or of the audit log, or change "
            "bus.retention or audit.retention; `govid "
            "migrate` takes back what was granted to the roles of govid, revoke what others have"
        )
    return texts
