"""The privileges of govid in PostgreSQL, and the four roles that hold them (ADR-0039).

The owner owns all schemas, tables, sequences and functions and runs migrations. The application
reads and writes rows, the purge role runs retention, the auditor reads `bus` and `audit`. None of
them can log in: roles that can are made members of one. `govid check` compares the role of a server
with the same lists.

Roles belong to a whole server and not to one database, so their names have a prefix. A database
does not store it: its roles are found by the name of the owner of schema `bus`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from govid.bus.storage.connection import TRUSTED_SEARCH_PATH
from govid.bus.storage.sql import load_statements

DEFAULT_PREFIX = "govid_"
PREFIX_PATTERN = re.compile(r"[a-z_][a-z0-9_]{0,40}")
SCHEMAS = ("audit", "bus", "identity", "nhs", "hmrc")
AUDIT_TABLES = ("checkpoint", "entry", "leaf", "restricted", "retention")
"""The tables of schema `audit`. Rows are only inserted there, and removed by functions."""

CHANGED_ROWS: Mapping[str, Sequence[str]] = {
    "bus": (
        *("accepted_end", "delivery", "inbound_fault", "inbox_gap", "lease", "parked", "replica"),
        *("stream", "topic"),
    ),
    "identity": (
        *("account", "claimed_facts", "life_event", "link", "quota", "refresh_token"),
        *("session", "signing_key", "throttle", "verification_attempt"),
    ),
    "nhs": ("account", "appointment", "held_slot", "patient", "quota"),
    "hmrc": ("account", "consent", "consent_request", "quota"),
}
"""The tables whose rows the service or a command updates or locks, for which PostgreSQL demands the
same privilege. The others are only inserted into."""
REMOVED_ROWS: Mapping[str, Sequence[str]] = {
    "bus": ("dead", "delivery", "inbound_fault", "parked", "receipt", "replica"),
    "identity": (
        *("claimed_facts", "evidence", "key_check", "letter", "link", "quota", "refresh_token"),
        *("session", "throttle"),
    ),
    "nhs": ("booking_answer", "held_slot", "patient", "quota"),
    "hmrc": ("consent", "consent_request", "quota", "tax_record"),
}
"""The tables from which the service or a command deletes single rows."""
RETENTION_FUNCTIONS = (
    *("audit.purge_entries", "audit.purge_restricted"),
    *("bus.attach_day", "bus.delete_aged", "bus.drop_day", "bus.empty_default"),
    *("bus.end_exclusion", "bus.exclude_day", "bus.is_range_needed", "bus.removable_until"),
    "bus.validate_exclusion",
)
"""The functions that retention calls; they run with the rights of their owner."""

QUERIES = load_statements("govid.gateway", "database_roles.sql")
SETUP = (
    *("create_roles", "grant_owner", "grant_purge", "grant_database", "grant_public"),
    "change_owner",
)
"""The statements that list what is missing until the roles exist and the owner owns everything."""


class DatabaseRoles(msgspec.Struct, frozen=True):
    """The names of the four roles of one installation. `prefix` needs no quoting in SQL."""

    prefix: str = DEFAULT_PREFIX

    @property
    def owner(self) -> str:
        """The role that owns everything."""
        return f"{self.prefix}owner"

    @property
    def application(self) -> str:
        """The role of `govid serve` and of the commands for operators."""
        return f"{self.prefix}application"

    @property
    def purge(self) -> str:
        """The role that runs retention; the application is a member."""
        return f"{self.prefix}purge"

    @property
    def auditor(self) -> str:
        """The role that reads events, deliveries and the audit log."""
        return f"{self.prefix}auditor"

    @property
    def all_names(self) -> tuple[str, ...]:
        """The four names."""
        return self.owner, self.application, self.purge, self.auditor

    def build_setup_queries(self) -> Iterator[str]:
        """Yield queries whose rows are statements: roles, memberships and ownership, in order.

        A query yields nothing for what is already so. Each statement is a transaction of its own:
        so a change of ownership waits for one lock only, and cannot deadlock with requests.
        """
        for name in SETUP:
            yield self._insert_names(QUERIES[name])

    def build_grants(self) -> Iterator[str]:
        """Yield statements that give the roles their privileges and take all others from them.

        They are one transaction, so that a running server misses no privilege in between. `DO`
        blocks are for lists that only the database knows.
        """
        served = ", ".join(self.all_names[1:])
        schemas = ", ".join(SCHEMAS)
        yield f"SET LOCAL ROLE {self.owner}"
        for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            yield f"REVOKE ALL ON ALL {kind} IN SCHEMA {schemas} FROM {served}"
        yield f"REVOKE ALL ON SCHEMA {schemas} FROM {served}"
        yield f"REVOKE ALL ON public.govid_version FROM {served}"
        yield f"GRANT USAGE ON SCHEMA {schemas} TO {self.application}"
        yield f"GRANT USAGE ON SCHEMA audit, bus TO {self.purge}, {self.auditor}"
        # Only `govid migrate` writes the version.
        yield f"GRANT SELECT ON public.govid_version TO {self.application}, {self.auditor}"
        yield self._insert_names(QUERIES["grant_tables"])
        # Only `govid migrate` writes how long rows are kept.
        yield f"REVOKE INSERT ON audit.retention, bus.retention FROM {self.application}"
        for privilege, rows in (("UPDATE", CHANGED_ROWS), ("DELETE", REMOVED_ROWS)):
            tables = ", ".join(f"{schema}.{name}" for schema in rows for name in rows[schema])
            yield f"GRANT {privilege} ON {tables} TO {self.application}"
        yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schemas} TO {self.application}"
        yield (
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA audit, bus "
            f"TO {self.application}, {self.auditor}"
        )
        for name in RETENTION_FUNCTIONS:
            yield f"GRANT EXECUTE ON FUNCTION {name} TO {self.purge}"

    def _insert_names(self, statement: str) -> str:
        for role in ("owner", "application", "purge", "auditor"):
            statement = statement.replace(f"{{{role}}}", f"{self.prefix}{role}")
        return statement


async def find_roles(connection: Any) -> DatabaseRoles | None:
    """Return the roles of the database, None if one role owns and does everything."""
    owner: str | None = await connection.fetchval(QUERIES["owner"])
    if owner is None or not owner.endswith("owner"):
        return None
    roles = DatabaseRoles(owner.removesuffix("owner"))
    if PREFIX_PATTERN.fullmatch(roles.prefix) is None:
        return None
    present: int = await connection.fetchval(QUERIES["present"], list(roles.all_names))
    return roles if present == len(roles.all_names) else None


async def own_in_another_database(connection: Any, roles: DatabaseRoles) -> bool:
    """Tell whether the owner of *roles* is the owner in another database of the server too."""
    return bool(await connection.fetchval(QUERIES["owns_elsewhere"], roles.owner))


async def list_setup_statements(connection: Any, roles: DatabaseRoles) -> list[str]:
    """Return the statements that are missing until *roles* exist and the owner owns everything."""
    return [
        row[0] for query in roles.build_setup_queries() for row in await connection.fetch(query)
    ]


async def set_up_roles(connection: Any, roles: DatabaseRoles, lock_ms: int) -> int:
    """Create *roles* and give everything to the owner; return the number of statements.

    Each statement is a transaction of its own and waits *lock_ms* milliseconds for its lock. After
    an error another call continues.

    Raises:
        asyncpg.PostgresError: a privilege is missing, or a lock was not available.
    """
    count = 0
    await connection.execute(f"SET lock_timeout = {lock_ms}")
    for query in roles.build_setup_queries():
        for row in await connection.fetch(query):
            await connection.execute(row[0])
            count += 1
    return count


async def apply_grants(connection: Any, roles: DatabaseRoles, lock_key: int) -> None:
    """Give *roles* exactly their privileges, in one transaction.

    *lock_key* is the advisory lock of migrations: two processes cannot change the same grants.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_key)
        for statement in roles.build_grants():
            await connection.execute(statement)


def build_script(roles: DatabaseRoles) -> str:
    """Return all statements as a script for psql, which needs no connection to be written."""
    setup = (
        f"DO $$ DECLARE one text; BEGIN FOR one IN\n{query}\nLOOP EXECUTE one; END LOOP; END $$;"
        for query in roles.build_setup_queries()
    )
    grants = (f"{one};" for one in roles.build_grants())
    path = f"SET search_path = {TRUSTED_SEARCH_PATH['search_path']};"
    return "\n\n".join(["-- Database roles", path, *setup, "BEGIN;", *grants, "COMMIT;"])
