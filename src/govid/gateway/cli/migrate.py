"""`govid migrate`: the database's schema."""

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
from govid.gateway.cli.database_errors import explain
from govid.gateway.cli.errors import CommandError, ExitCode, Refused
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.settings import Target, connected, target
from govid.identity import SHARED, key_faults, key_list, open_reviews, rewrite_mailboxes


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where a database is. `pending` are the revisions that it lacks, in order of application."""

    current: str | None
    head: str
    pending: tuple[str, ...]


@click.command("migrate", cls=rich_click.RichCommand, epilog="Example: govid migrate --dry-run")
@click.argument("action", type=click.Choice(["up", "status"]), default="up")
@click.option("--to", default="head", show_default=True, metavar="REVISION", help="How far.")
@click.option("--sql", is_flag=True, help="Print the statements instead of running them.")
@click.option("--dry-run", is_flag=True, help="List what would be applied, and apply nothing.")
@json_option
def command(action: str, to: str, sql: bool, dry_run: bool, as_json: bool) -> None:
    """Bring the database to this release's schema (up), or say where it is (status).

    Safe to run by several replicas at once: one works, the others wait. `status` exits with 5
    when something is pending.
    """
    if sql:
        # Nothing is connected to: any address of this database's kind will do.
        upgrade(migrations.configuration("postgresql://offline"), to, sql=True)
        return
    place = target()
    state = asyncio.run(read_state(place, to))
    output = Output(as_json=as_json)
    if action == "status" or dry_run:
        _report(output, state)
        if action == "status" and state.pending:
            click.get_current_context().exit(ExitCode.WRONG)
        return
    if state.pending:
        apply(place, to)
    _report(output, msgspec.structs.replace(asyncio.run(read_state(place, to)), pending=()))
    note(f"Applied {len(state.pending)}.")
    if to == "head":
        asyncio.run(_rewrite_mailboxes(place))
        asyncio.run(_check_keys(place))
    if shared := asyncio.run(_count_shared(place)):
        note(
            f"{shared} accounts lost their number or address to another account and wait for a "
            "review: `govid check` names the reasons."
        )


async def read_state(place: Target, to: str = "head") -> State:
    """Ask the database where it is."""
    async with connected(place) as connection:
        version = await schema_version.read_version(connection)
    current = version.revision
    if version.number > int(schema_version.head()):
        if fault := version.fault():
            raise Refused(f"{fault}; nothing was touched.")
        note(f"The database is newer than this release (schema {current}), and runs with it.")
        return State(current=current, head=schema_version.head(), pending=())
    scripts = ScriptDirectory(str(schema_version.scripts()))
    try:
        steps = [step.revision for step in scripts.iterate_revisions(to, current or "base")]
    except (AlembicError, RevisionError) as error:
        raise _unknown(error) from error
    return State(current=current, head=schema_version.head(), pending=tuple(reversed(steps)))


async def _rewrite_mailboxes(place: Target) -> None:
    """Let stored addresses follow the present rule, which SQL could not apply as Python does."""
    async with connected(place) as connection:
        done = await rewrite_mailboxes(connection)
    if done.rewritten:
        note(f"Rewrote the keys of {done.rewritten} addresses.")


async def _check_keys(place: Target) -> None:
    """Say whether the keys that are set are those that this database was used with."""
    if not place.settings.is_set("GOVID_PSEUDONYM_KEY"):
        return
    async with connected(place) as connection:
        for fault in await key_faults(connection, key_list(place.settings.identity)):
            note(f"fault: {fault}")


async def _count_shared(place: Target) -> int:
    """Count open reviews that come from migrated data; none while the tables are too old."""
    async with connected(place) as connection:
        try:
            reviews = await open_reviews(connection)
        except asyncpg.UndefinedTableError:
            return 0
    return sum(reviews.get(reason, 0) for reason in SHARED)


def apply(place: Target, to: str = "head") -> None:
    """Apply what is missing.

    Raises:
        CommandError: a migration failed, or the database belongs to a newer release.
    """
    try:
        migrations.upgrade(place.database_url, to)
    except (AlembicError, RevisionError) as error:
        raise _unknown(error) from error
    except DBAPIError as error:
        raise _failed(place, to, error) from error


def _failed(place: Target, to: str, error: DBAPIError) -> CommandError:
    """Return which migration failed and why, with the exit code of the reason."""
    reason = explain(error) or CommandError("the database refused a statement.")
    try:
        [first, *_] = asyncio.run(read_state(place, to)).pending
    except (CommandError, ValueError):
        return reason
    failed = type(reason)(f"migration {first} failed and was rolled back: {reason.message}")
    failed.remedy = f"{reason.remedy} Migrations before it are applied."
    return failed


def _unknown(error: Exception) -> CommandError:
    del error
    return CommandError(
        "the database or --to names a revision that this release does not know.",
        "Is a newer release of govid using it? `govid migrate status` shows revisions.",
    )


def _report(output: Output, state: State) -> None:
    output.mapping({"current": state.current, "head": state.head, "pending": list(state.pending)})
