"""`govid migrate`: applies migrations, or shows which are pending."""

import asyncio

import asyncpg
import click
import msgspec
import rich_click
from alembic.command import upgrade
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError as AlembicError
from sqlalchemy.exc import DBAPIError

from govid.gateway import migrations, schema_version
from govid.gateway.cli.errors import CommandError, CommandRefused, ExitCode
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.target import (
    Installation,
    connect_to_database,
    explain_database_error,
    find_installation,
)
from govid.identity import (
    SHARED_REASONS,
    configured_keys,
    count_open_reviews,
    find_key_problems,
    rewrite_mailbox_keys,
)


class MigrationState(msgspec.Struct, frozen=True, kw_only=True):
    """The schema of a database. `pending` are the missing revisions, in order of application."""

    current: str | None
    head: str
    pending: tuple[str, ...]


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
@json_option
def command(action: str, to: str, sql: bool, dry_run: bool, as_json: bool) -> None:
    """Bring the database to this release's schema (up), or show its schema (status).

    Several replicas may run it at once: one migrates, the others wait. `status` exits with 5 if a
    migration is pending.
    """
    if sql:
        # No connection is made; Alembic only needs the dialect of the URL.
        upgrade(migrations.build_alembic_config("postgresql://offline"), to, sql=True)
        return
    installation = find_installation()
    state = asyncio.run(read_migration_state(installation, to))
    output = Output(as_json=as_json)
    if action == "status" or dry_run:
        _print_state(output, state)
        if action == "status" and state.pending:
            click.get_current_context().exit(ExitCode.WRONG)
        return
    if state.pending:
        apply_migrations(installation, to)
    _print_state(
        output,
        msgspec.structs.replace(asyncio.run(read_migration_state(installation, to)), pending=()),
    )
    print_note(f"Applied {len(state.pending)}.")
    if to == "head":
        asyncio.run(_rewrite_mailboxes(installation))
        asyncio.run(_check_keys(installation))
    if shared := asyncio.run(_count_migration_reviews(installation)):
        print_note(
            f"{shared} accounts lost their number or address to another account and need a "
            "review: `govid check` names the reasons."
        )


async def read_migration_state(installation: Installation, to: str = "head") -> MigrationState:
    """Read the present schema of the database and the migrations pending up to *to*.

    Raises:
        CommandRefused: the schema is too new for this release.
        CommandError: this release does not know a revision.
    """
    async with connect_to_database(installation) as connection:
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


async def _rewrite_mailboxes(installation: Installation) -> None:
    """Apply the present normalisation rule to stored addresses, which SQL cannot do like Python."""
    async with connect_to_database(installation) as connection:
        done = await rewrite_mailbox_keys(connection)
    if done.rewritten:
        print_note(f"Rewrote the keys of {done.rewritten} addresses.")


async def _check_keys(installation: Installation) -> None:
    """Report keys that differ from those with which the database was used."""
    if not installation.settings.is_set("GOVID_PSEUDONYM_KEY"):
        return
    async with connect_to_database(installation) as connection:
        for fault in await find_key_problems(
            connection, configured_keys(installation.settings.identity)
        ):
            print_note(f"fault: {fault}")


async def _count_migration_reviews(installation: Installation) -> int:
    """Count the open reviews caused by migrated data; 0 if the schema has no reviews yet."""
    async with connect_to_database(installation) as connection:
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
    output.print_mapping(
        {"current": state.current, "head": state.head, "pending": list(state.pending)}
    )
