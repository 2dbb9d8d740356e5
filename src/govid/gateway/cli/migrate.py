"""`govid migrate`: applies migrations, or shows which are pending."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import click
import msgspec
import rich_click
from alembic.command import upgrade
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError as AlembicError
from sqlalchemy.exc import DBAPIError

from govid.bus.audit.rules import retention_days
from govid.gateway import migrations, schema_version
from govid.gateway.cli.errors import CommandError, CommandRefused, ExitCode, InvalidUsage
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.target import (
    Installation,
    connect_to_database,
    explain_database_error,
    find_installation,
)
from govid.gateway.database_roles import (
    DEFAULT_PREFIX,
    PREFIX_PATTERN,
    DatabaseRoles,
    apply_grants,
    build_script,
    find_roles,
    list_setup_statements,
    own_in_another_database,
    set_up_roles,
)
from govid.identity import (
    SHARED_REASONS,
    configured_keys,
    count_open_reviews,
    find_key_problems,
    rewrite_mailbox_keys,
)

_NO_PRIVILEGE = "42501"
_STORE_RETENTION = """
    UPDATE bus.retention SET kept_for = make_interval(secs => $1 * 86400)
    WHERE kept_for <> make_interval(secs => $1 * 86400)
"""
_STORE_AUDIT_RETENTION = """
    UPDATE audit.retention SET kept_for = make_interval(days => wanted.days)
    FROM unnest($1::text[], $2::integer[]) AS wanted (kind, days)
    WHERE retention.kind = wanted.kind AND kept_for <> make_interval(days => wanted.days)
"""
# Since version 16 a membership may exclude SET ROLE.
_MAY_ACT_AS = """
    SELECT pg_has_role(current_user, $1, CASE
        WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)
"""
_INHERITS = "SELECT rolinherit OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"


def _check_prefix(_context: object, _option: object, prefix: str | None) -> str | None:
    """Refuse a prefix that would need quotes in SQL, or leave no place for the rest of a name."""
    if prefix is not None and PREFIX_PATTERN.fullmatch(prefix) is None:
        raise click.BadParameter(
            "a prefix has 1 to 41 lower-case letters, digits and underscores, and begins with "
            "no digit."
        )
    return prefix


class MigrationState(msgspec.Struct, frozen=True, kw_only=True):
    """The schema of a database. `pending` are the missing revisions, in order of application."""

    current: str | None
    head: str
    pending: tuple[str, ...]
    role_statements: tuple[str, ...] | None = None
    """What is missing until the database roles are set up; None if they were not asked for."""


@click.command("migrate", cls=rich_click.RichCommand, epilog="Example: govid migrate --dry-run")
@click.argument("action", type=click.Choice(["up", "status"]), default="up")
@click.option(
    "--to",
    default="head",
    show_default=True,
    metavar="REVISION",
    help="The last revision to apply.",
)
@click.option("--sql", is_flag=True, help="Print the statements instead of running them.")
@click.option("--dry-run", is_flag=True, help="List what would be applied; apply nothing.")
@click.option(
    "--database-roles",
    is_flag=True,
    help="Also create the roles owner, application, purge and auditor, and give all to the owner.",
)
@click.option(
    "--role-prefix",
    metavar="PREFIX",
    callback=_check_prefix,
    help="How the names of these roles begin.  [default: the present ones, else govid_]",
)
@json_option
def command(
    action: str,
    to: str,
    sql: bool,
    dry_run: bool,
    database_roles: bool,
    role_prefix: str | None,
    as_json: bool,
) -> None:
    """Bring the database to this release's schema (up), or show its schema (status).

    Several replicas may run it at once: one migrates, the others wait. `status` exits with 5 if a
    migration is pending. The privileges of database roles are applied each time.
    """
    if database_roles and to != "head":
        raise InvalidUsage("--database-roles needs the whole schema: leave out --to.")
    if sql:
        # No connection is made; Alembic only needs the dialect of the URL.
        upgrade(migrations.build_alembic_config("postgresql://offline"), to, sql=True)
        if database_roles:
            click.echo(build_script(DatabaseRoles(role_prefix or DEFAULT_PREFIX)))
        return
    installation = find_installation()
    state = asyncio.run(read_migration_state(installation, to))
    roles = asyncio.run(choose_roles(installation, role_prefix)) if database_roles else None
    output = Output(as_json=as_json)
    if action == "status" or dry_run:
        if roles is not None:
            state = asyncio.run(_add_role_statements(installation, state, roles))
        _print_state(output, state)
        if action == "status" and state.pending:
            click.get_current_context().exit(ExitCode.WRONG)
        return
    if state.pending:
        asyncio.run(refuse_other_roles(installation))
        apply_migrations(installation, to)
    if roles is not None:
        asyncio.run(_set_up(installation, roles))
    _print_state(
        output,
        msgspec.structs.replace(asyncio.run(read_migration_state(installation, to)), pending=()),
    )
    print_note(f"Applied {len(state.pending)}.")
    asyncio.run(_finish(installation, is_current=to == "head"))


async def _finish(installation: Installation, *, is_current: bool) -> None:
    """Do what migrations cannot: privileges, what needs keys or Python, and notes about data."""
    if is_current:
        await apply_privileges(installation)
        await _rewrite_mailboxes(installation)
        await _check_keys(installation)
    if shared := await _count_migration_reviews(installation):
        print_note(
            f"{shared} accounts lost their number or address to another account and need a "
            "review: `govid check` names the reasons."
        )


@asynccontextmanager
async def _connect_as_owner(installation: Installation) -> AsyncIterator[Any]:
    """Connect, and act as the owner of the tables if the role may.

    A role with NOINHERIT has the owner's privileges only in this way.
    """
    async with connect_to_database(installation) as connection:
        roles = await find_roles(connection)
        if roles is not None and await _is_owner(connection, roles):
            await connection.execute(f"SET ROLE {roles.owner}")
        yield connection


async def read_migration_state(installation: Installation, to: str = "head") -> MigrationState:
    """Read the present schema of the database and the migrations pending up to *to*.

    Raises:
        CommandRefused: the schema is too new for this release.
        CommandError: this release does not know a revision.
    """
    async with _connect_as_owner(installation) as connection:
        version = await schema_version.read_version(connection)
    current = version.revision
    if version.number > int(schema_version.head_revision()):
        if fault := version.explain_mismatch():
            raise CommandRefused(f"{fault}; nothing was changed.")
        print_note(
            f"The database is newer than this release (schema {current}), but compatible with it."
        )
        return MigrationState(current=current, head=schema_version.head_revision(), pending=())
    scripts = ScriptDirectory(str(schema_version.migrations_folder()))
    try:
        steps = [step.revision for step in scripts.iterate_revisions(to, current or "base")]
    except (AlembicError, RevisionError) as error:
        raise _explain_unknown_revision(error) from error
    return MigrationState(
        current=current, head=schema_version.head_revision(), pending=tuple(reversed(steps))
    )


async def choose_roles(installation: Installation, prefix: str | None) -> DatabaseRoles:
    """Return the roles that the database has or is to get.

    Raises:
        CommandRefused: it has others, another database of the server has these, or the present role
            could not finish.
    """
    async with connect_to_database(installation) as connection:
        if not await connection.fetchval(_INHERITS):
            raise CommandRefused(
                "the database role has NOINHERIT: it would lose its tables when it gives the first "
                "ones to the owner; nothing was changed.",
                "Run --database-roles as a role with INHERIT or as a superuser. Other migrations "
                "need neither.",
            )
        present = await find_roles(connection)
        roles = present if prefix is None and present else DatabaseRoles(prefix or DEFAULT_PREFIX)
        if present is not None and present != roles:
            raise CommandRefused(
                f"the database has roles already: {', '.join(present.all_names)}; nothing was "
                "changed.",
                f"Leave out --role-prefix, or first give schema bus to another owner than "
                f"{present.owner}.",
            )
        if present is None and prefix is None and await own_in_another_database(connection, roles):
            raise CommandRefused(
                f"{roles.owner} owns another database of this server, whose application could then "
                "use this one; nothing was changed.",
                "Choose a --role-prefix for this installation; to share the roles on purpose, name "
                f"it: --role-prefix {roles.prefix}",
            )
    return roles


async def _add_role_statements(
    installation: Installation, state: MigrationState, roles: DatabaseRoles
) -> MigrationState:
    async with connect_to_database(installation) as connection:
        statements = await list_setup_statements(connection, roles)
    return msgspec.structs.replace(state, role_statements=tuple(statements))


async def _set_up(installation: Installation, roles: DatabaseRoles) -> None:
    """Create *roles* and let the owner own everything.

    Raises:
        CommandError: a privilege is missing, or a lock was not available.
    """
    async with connect_to_database(installation) as connection:
        try:
            count = await set_up_roles(connection, roles, migrations.LOCK_MS)
        except asyncpg.PostgresError as error:
            reason = explain_database_error(error)
            if reason is None or error.sqlstate != _NO_PRIVILEGE:
                raise
            raise type(reason)(
                f"{reason.message} Roles are created, and tables given away, by a superuser or by "
                "the owner of the database and its tables with CREATEROLE.",
                "Run it as such a role; it continues where it has stopped.",
            ) from error
    print_note(f"Database roles: {', '.join(roles.all_names)} ({count} statements).")


async def refuse_other_roles(installation: Installation) -> None:
    """Refuse to migrate as a role that may not act as the owner.

    Raises:
        CommandRefused: the database has roles, and this one is not a member of the owner.
    """
    async with connect_to_database(installation) as connection:
        roles = await find_roles(connection)
        if roles is not None and not await _is_owner(connection, roles):
            raise CommandRefused(
                f"the database role is not a member of {roles.owner}, which owns the tables of "
                "govid; nothing was changed.",
                f"Run `govid migrate` as a role that is: GRANT {roles.owner} TO it.",
            )


async def apply_privileges(installation: Installation) -> None:
    """Give the database roles their privileges, and store how long rows are kept at least.

    A role that may not do it changes nothing: a server may run `govid migrate` at each start with
    its own role if no migration is pending.
    """
    days = installation.settings.bus.row_retention_days
    async with _connect_as_owner(installation) as connection:
        roles = await find_roles(connection)
        if roles is None or await _is_owner(connection, roles):
            if roles is not None:
                await apply_grants(connection, roles, migrations.ADVISORY_LOCK)
            await connection.execute(_STORE_RETENTION, days)
            kept = retention_days(installation.settings.bus.audit)
            await connection.execute(_STORE_AUDIT_RETENTION, [*kept], [*kept.values()])


async def _is_owner(connection: Any, roles: DatabaseRoles) -> bool:
    """Tell whether the role of *connection* is, or may become, the owner."""
    return bool(await connection.fetchval(_MAY_ACT_AS, roles.owner))


async def _rewrite_mailboxes(installation: Installation) -> None:
    """Apply the present normalisation rule to stored addresses, which SQL cannot do like Python."""
    async with _connect_as_owner(installation) as connection:
        done = await rewrite_mailbox_keys(connection)
    if done.rewritten:
        print_note(f"Rewrote the keys of {done.rewritten} addresses.")


async def _check_keys(installation: Installation) -> None:
    """Report keys that differ from those with which the database was used."""
    if not installation.settings.is_set("GOVID_PSEUDONYM_KEY"):
        return
    async with _connect_as_owner(installation) as connection:
        for fault in await find_key_problems(
            connection, configured_keys(installation.settings.identity)
        ):
            print_note(f"fault: {fault}")


async def _count_migration_reviews(installation: Installation) -> int:
    """Count the open reviews caused by migrated data; 0 if the schema has no reviews yet."""
    async with _connect_as_owner(installation) as connection:
        try:
            reviews = await count_open_reviews(connection)
        except asyncpg.UndefinedTableError:
            return 0
    return sum(reviews.get(reason, 0) for reason in SHARED_REASONS)


def apply_migrations(installation: Installation, to: str = "head") -> None:
    """Apply the pending migrations.

    Raises:
        CommandError: a migration failed, or the database belongs to a newer release.
    """
    try:
        migrations.upgrade(installation.database_url, to)
    except (AlembicError, RevisionError) as error:
        raise _explain_unknown_revision(error) from error
    except DBAPIError as error:
        raise _explain_failure(installation, to, error) from error


def _explain_failure(installation: Installation, to: str, error: DBAPIError) -> CommandError:
    """Return an error that names the failed migration, with the exit code of its reason."""
    reason = explain_database_error(error) or CommandError("the database refused a statement.")
    try:
        [first, *_] = asyncio.run(read_migration_state(installation, to)).pending
    except (CommandError, ValueError):
        return reason
    failed = type(reason)(f"migration {first} failed and was rolled back: {reason.message}")
    failed.remedy = f"{reason.remedy} Migrations before it are applied."
    return failed


def _explain_unknown_revision(error: Exception) -> CommandError:
    del error
    return CommandError(
        "the database or --to names a revision that this release does not know.",
        "Does a newer release of govid use it? `govid migrate status` shows revisions.",
    )


def _print_state(output: Output, state: MigrationState) -> None:
    shown: dict[str, Any] = {
        "current": state.current,
        "head": state.head,
        "pending": list(state.pending),
    }
    if state.role_statements is not None and output.as_json:
        shown["role_statements"] = list(state.role_statements)
    output.print_mapping(shown)
    if state.role_statements is not None and not output.as_json:
        for statement in state.role_statements:
            output.print_text(f"{statement};")
