"""Shared parts of operator commands: options, confirmation, batches, audit lines, recorded views.

The operator actions themselves are in `govid.bus.operations` and `govid.identity`.
"""

import asyncio
import getpass
import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import click
import msgspec

from govid.bus import Actor
from govid.bus.audit.entries import EntryFactory
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.subscriptions import Subscriptions
from govid.bus.events import DataView, DataViewed, OutboxAct
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.operator_actions import (
    ActionInProgress,
    ActionMetadata,
    BatchProgress,
    OperatorAction,
    OperatorActions,
)
from govid.bus.shared.clock import SystemClock
from govid.bus.shared.ids import uuid7
from govid.bus.shared.privacy import PseudonymGenerator
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway.cli.components import load_audit_settings, load_subscriptions
from govid.gateway.cli.errors import BackendUnreachable, CommandError
from govid.gateway.cli.filters import build_filter
from govid.gateway.cli.output import (
    Output,
    ProgressDisplay,
    apply_options,
    json_option,
    print_note,
)
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.target import Installation, connect_at_current_schema

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
    rate: float | None = None
    dry_run: bool = False
    yes: bool = False
    as_json: bool = False

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

    def build_metadata(self) -> ActionMetadata:
        """Build the members that all events about topics have in common."""
        return ActionMetadata(operator=self.operator, reason=self.reason)


def operator_options(
    dry_run_help: str | None = "Show what would change; change nothing.",
    *more: Callable[[Any], Any],
) -> Callable[[F], F]:
    """Return a decorator that adds the options of `OperatorOptions` to a command.

    `parse_operator_options` turns their values into `OperatorOptions`. *dry_run_help* is the help
    text of --dry-run, or None for a command without it; *more* are further options.
    """
    dry_run = (click.option("--dry-run", is_flag=True, help=dry_run_help),) if dry_run_help else ()
    return apply_options(
        click.option("--reason", help="Why. Stored permanently, so without personal data."),
        click.option("--actor", help="The operator.  [default: the user of this system]"),
        *more,
        *dry_run,
        click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
        json_option,
    )


operator_command = operator_options(
    "Only count the deliveries; change nothing.",
    click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        help="At most this many deliveries per second.",
    ),
)
"""Adds the options of an operator action on deliveries to a command."""


def parse_operator_options(
    *,
    reason: str | None,
    actor: str | None,
    yes: bool,
    as_json: bool,
    rate: float | None = None,
    dry_run: bool = False,
) -> OperatorOptions:
    """Build the options of an operator command from their values.

    Raises:
        click.UsageError: the reason is missing, too long, or seems to hold personal data.
    """
    stated = parse_reason(reason)
    if not stated and not dry_run:
        raise click.UsageError("This action is recorded: give --reason (or --dry-run).")
    return OperatorOptions(
        operator=(actor or "").strip() or current_operator().id or "unknown",
        reason=stated,
        rate=rate,
        dry_run=dry_run,
        yes=yes,
        as_json=as_json,
    )


def parse_reason(reason: str | None) -> str:
    """Return the stated *reason*, empty if there is none.

    Raises:
        click.UsageError: it is too long, not one line, or seems to hold personal data.
    """
    stated = (reason or "").strip()
    if len(stated) > MAX_REASON_LENGTH or not stated.isprintable():
        raise click.UsageError(
            f"--reason must be one line of at most {MAX_REASON_LENGTH} characters."
        )
    if _PERSONAL.search(_UUID.sub("", stated)):
        raise click.UsageError(
            "--reason is stored permanently, and this one seems to contain a personal e-mail "
            "address or number."
        )
    return stated


def parse_options_and_filter(values: Mapping[str, Any]) -> tuple[OperatorOptions, DeliveryFilter]:
    """Split the *values* of a command's options into operator options and a delivery filter."""
    filters = {name: value for name, value in values.items() if name not in _OPTION_NAMES}
    return parse_operator_options(**{name: values[name] for name in _OPTION_NAMES}), build_filter(
        **filters
    )


def build_operator_actions(
    installation: Installation, connection: Any, subscriptions: Subscriptions | None = None
) -> OperatorActions:
    """Return the object that commits operator actions and delivers their events to subscribers.

    By default these are the subscriptions of this release.
    """
    envelopes = EnvelopeFactory(
        EventRegistry(), PseudonymGenerator(installation.settings.bus.pseudonym_key)
    )
    if subscriptions is None:
        subscriptions = load_subscriptions(installation)
    entries = EntryFactory.from_settings(load_audit_settings(installation))
    return OperatorActions(connection, PostgresOutbox(envelopes, entries, subscriptions))


class BatchCommand(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of a command that changes deliveries; `{}` is the number of deliveries."""

    phase: str
    """Shown beside the progress."""
    question: str
    verb: str
    """In the past tense, because it is a member of the JSON result."""
    preview_text: str
    """Shown at the end of a dry run."""
    success_text: str


async def run_batch_command(
    command: BatchCommand,
    options: OperatorOptions,
    counts: Mapping[str, int],
    start: Callable[[], tuple[OperatorAction, AsyncIterator[BatchProgress]]],
) -> None:
    """Ask for confirmation, run the batches of an operator action, and print the result.

    A dry run prints *counts*, the number of deliveries per subscriber, and changes nothing. *start*
    is called after the confirmation; it returns the action and its batches.

    Raises:
        CommandError: another such action runs, or another operator has processed all of them.
    """
    total = sum(counts.values())
    if options.dry_run:
        _print_result(options, counts, command.verb, None, None)
        print_note(command.preview_text.format(total))
        return
    confirm(command.question.format(total), yes=options.yes)
    action, batches = start()
    done = await _run_batches(command.phase, total, batches)
    _print_result(options, counts, command.verb, done, action)
    print_note(command.success_text.format(done))


async def _run_batches(phase: str, total: int, batches: AsyncIterator[BatchProgress]) -> int:
    """Run *batches* with their progress; return how many of *total* deliveries were processed."""
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


def _print_result(
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


async def record_data_view(
    installation: Installation, view: DataView, *, reason: str = "", account_id: UUID | None = None
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
