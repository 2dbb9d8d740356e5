"""Shared parts of operator commands: options, confirmation, batches, audit lines, recorded views.

The operator actions themselves are in `govid.bus.operations` and `govid.identity`.
"""

import asyncio
import getpass
import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import click
import msgspec

from govid.bus import Actor
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.subscriptions import Subscriptions
from govid.bus.events import DataViewed, OutboxAct
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.operator_actions import (
    ActionInProgress,
    BatchProgress,
    OperatorAction,
    OperatorActions,
)
from govid.bus.shared.clock import SystemClock
from govid.bus.shared.ids import uuid7
from govid.bus.shared.privacy import PseudonymGenerator
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway.cli.errors import BackendUnreachable, CommandError, CommandRefused
from govid.gateway.cli.filters import build_filter
from govid.gateway.cli.output import Output, ProgressDisplay, json_option, print_note
from govid.gateway.cli.target import Installation, connect_to_database
from govid.gateway.dev.state import StateFolder, default_secrets
from govid.gateway.schema_version import head_revision, read_version
from govid.gateway.settings import load_from_environment

log = logging.getLogger(__name__)


_STANDARD = frozenset(vars(logging.makeLogRecord({})))


class AuditLineFormatter(logging.Formatter):
    """Formats a log record as one JSON object: time, event and the record's extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line of JSON."""
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        moment = datetime.fromtimestamp(record.created, tz=UTC)
        line = {"timestamp": moment, "event": record.getMessage(), **fields}
        return msgspec.json.encode(line).decode()


def current_operator() -> Actor:
    """Return the operator: the user of this system, or only its number, as in a container."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return Actor(kind="operator", id=name)


def enable_audit_lines() -> None:
    """Send audit lines to stderr. A command outside the server has no other log output."""
    handler = logging.StreamHandler()
    handler.setFormatter(AuditLineFormatter())
    log.setLevel(logging.INFO)
    log.handlers = [handler]
    log.propagate = False


def log_operator_action(event: str, *, reason: str) -> None:
    """Write an audit line for *event* with the operator and the *reason*."""
    enable_audit_lines()
    actor = current_operator()
    log.info(event, extra={"actor": f"{actor.kind}:{actor.id}", "reason": reason})


F = TypeVar("F", bound=Callable[..., Any])
MAX_REASON_LENGTH = 500
_OPTION_NAMES = ("reason", "actor", "rate", "dry_run", "yes", "as_json")
"""The options that `operator_command` adds; the other options of such a command are filters."""
STATUS_HINT = "`govid outbox status` shows whether they are delivered."
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PERSONAL = re.compile(
    r"\S@\S|(?<!\d)(\d{10}|\d{3}[ -]\d{3}[ -]\d{4})(?!\d)|\b[a-z]{2} ?\d\d ?\d\d ?\d\d ?[a-d]\b",
    re.IGNORECASE,
)


class OperatorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of an operator command: the operator, the reason, and how to carry it out."""

    operator: str
    reason: str
    rate: float | None
    dry_run: bool
    yes: bool
    as_json: bool

    @property
    def output(self) -> Output:
        """The printer of the result."""
        return Output(as_json=self.as_json)

    def build_action(
        self, kind: type[OutboxAct], filter_: DeliveryFilter, **more: str | None
    ) -> OperatorAction:
        """Build the operator action of *kind* with the parameters of *filter_* and *more*."""
        parameters = {
            **filter_.describe(),
            **{name: value for name, value in more.items() if value},
        }
        return OperatorAction(
            kind=kind, operator=self.operator, reason=self.reason, selection=parameters
        )


def operator_options(dry_run_help: str, *more: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return a decorator that adds the options of `OperatorOptions` to a command.

    `parse_operator_options` turns their values into `OperatorOptions`. *dry_run_help* is the help
    text of --dry-run; *more* are further options.
    """
    options: tuple[Callable[[Any], Any], ...] = (
        click.option("--reason", help="Why. Stored permanently, so without personal data."),
        click.option("--actor", help="The operator.  [default: the user of this system]"),
        *more,
        click.option("--dry-run", is_flag=True, help=dry_run_help),
        click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
        json_option,
    )

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def operator_command(function: F) -> F:
    """Add the options of an operator action on deliveries to a command."""
    rate = click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        help="At most this many deliveries per second.",
    )
    return operator_options("Only count the deliveries; change nothing.", rate)(function)


def parse_operator_options(
    *,
    reason: str | None,
    actor: str | None,
    rate: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> OperatorOptions:
    """Build the options of an operator command from their values.

    Raises:
        click.UsageError: the reason is missing, too long, or seems to hold personal data.
    """
    stated = (reason or "").strip()
    if not stated and not dry_run:
        raise click.UsageError("This action is recorded: give --reason (or --dry-run).")
    if len(stated) > MAX_REASON_LENGTH or not stated.isprintable():
        raise click.UsageError(
            f"--reason must be one line of at most {MAX_REASON_LENGTH} characters."
        )
    if _PERSONAL.search(_UUID.sub("", stated)):
        raise click.UsageError(
            "--reason is stored permanently, and this one seems to contain a personal e-mail "
            "address or number."
        )
    return OperatorOptions(
        operator=(actor or "").strip() or current_operator().id or "unknown",
        reason=stated,
        rate=rate,
        dry_run=dry_run,
        yes=yes,
        as_json=as_json,
    )


def parse_options_and_filter(values: Mapping[str, Any]) -> tuple[OperatorOptions, DeliveryFilter]:
    """Split the *values* of a command's options into operator options and a delivery filter."""
    filters = {name: value for name, value in values.items() if name not in _OPTION_NAMES}
    return parse_operator_options(**{name: values[name] for name in _OPTION_NAMES}), build_filter(
        **filters
    )


@asynccontextmanager
async def connect_at_current_schema(installation: Installation) -> AsyncIterator[Any]:
    """Connect to the database and check that this release runs on its schema.

    Raises:
        CommandRefused: the schema is too old or too new; nothing has been changed.
        BackendUnreachable: the database does not answer.
    """
    async with connect_to_database(installation) as connection:
        version = await read_version(connection)
        if version.state == "behind":
            raise CommandRefused(
                f"the database is at migration {version.revision or 'none'}, and this release "
                f"requires {head_revision()}; nothing was changed.",
                "`govid migrate` upgrades it.",
            )
        if fault := version.explain_mismatch():
            raise CommandRefused(f"{fault}; nothing was changed.")
        yield connection


def load_subscriptions(installation: Installation) -> Subscriptions:
    """Return the subscriptions of this release, read from its modules."""
    # The modules import the web framework, so only commands that need them wait for it (I13).
    from govid.gateway.wiring import assemble_components  # noqa: PLC0415

    settings = installation.settings
    state = StateFolder(settings.data_dir).read()
    settings = load_from_environment(
        {"GOVID_DATABASE_URL": installation.database_url, **default_secrets(settings, state)}
    )
    try:
        return assemble_components(settings).bus.subscriptions
    except ValueError as error:
        raise CommandError(
            f"the application cannot be built from the settings: {error}.",
            "`govid check` lists every fault.",
        ) from error


def build_operator_actions(
    installation: Installation, connection: Any, subscriptions: Subscriptions
) -> OperatorActions:
    """Return the object that commits operator actions and delivers their events to subscribers."""
    envelopes = EnvelopeFactory(
        EventRegistry(), PseudonymGenerator(installation.settings.bus.pseudonym_key)
    )
    return OperatorActions(connection, PostgresOutbox(envelopes, subscriptions))


async def run_batches(phase: str, total: int, batches: AsyncIterator[BatchProgress]) -> int:
    """Run the *batches* of an operator action on *total* deliveries; return the number processed.

    Raises:
        CommandError: another such action runs, or another operator has processed all of them.
    """
    done = 0
    with ProgressDisplay(phase, total) as progress:
        try:
            async for batch in batches:
                done = batch.done
                progress.update(done)
        except ActionInProgress as error:
            raise CommandError(
                "another replay or backfill runs on this database; nothing was changed.",
                "Wait until it has ended.",
            ) from error
        except (KeyboardInterrupt, asyncio.CancelledError):
            print_note(f"Stopped after {done} of {total}. Run the same command again for the rest.")
            raise
    if done == 0:
        raise CommandError(
            f"another operator has already processed all {total} deliveries.",
            "`govid outbox groups` shows what is parked or dead-lettered now.",
        )
    if done < total:
        print_note(f"{total - done} of {total} were processed by another operator in the meantime.")
    return done


def print_result(
    options: OperatorOptions,
    counts: Mapping[str, int],
    verb: str,
    done: int | None,
    action: OperatorAction | None,
) -> None:
    """Print the affected deliveries per subscriber, and in JSON the number *done*."""
    output = options.output
    if output.as_json:
        output.print_document(
            {
                "deliveries": sum(counts.values()),
                "by_subscriber": counts,
                verb: done,
                "act": action and action.id,
            }
        )
    else:
        output.print_table(("subscriber", "deliveries"), [*counts.items()])


ViewName = Literal["accounts show", "events tail --raw"]


async def record_data_view(
    installation: Installation, view: ViewName, *, reason: str = "", account_id: UUID | None = None
) -> None:
    """Store the event `operator.data.viewed`.

    Raises:
        BackendUnreachable: it could not be stored, for any reason; the caller must show nothing.
    """
    event = DataViewed(
        act_id=uuid7(),
        operator=current_operator().id or "unknown",
        stated_reason=reason,
        view=view,
        account_id=account_id,
        timestamp=SystemClock().now(),
    )

    async def return_event() -> DataViewed:
        return event

    try:
        async with connect_at_current_schema(installation) as connection:
            # The event has no subscriber in process, so no subscriptions are needed.
            await build_operator_actions(installation, connection, Subscriptions()).commit_event(
                return_event
            )
    except (CommandError, *DRIVER_ERRORS) as error:
        raise BackendUnreachable(
            "views of personal data must be recorded first, and the record could not be stored; "
            "nothing is shown.",
            error.format_message()
            if isinstance(error, CommandError)
            else "`govid check` shows the reason.",
        ) from error
