"""`govid outbox retry | unpark | discard`: repairs parked keys and dead letters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

import click
import rich_click

from govid.bus.events import OutboxAct, OutboxDiscarded, OutboxRetried, OutboxUnparked
from govid.bus.operations.delivery_filter import DeliveryFilter
from govid.bus.operations.operator_actions import (
    BatchProgress,
    OperatorAction,
    OperatorActions,
)
from govid.bus.operations.repair import PERMANENT_STATES, StuckDeliveries, StuckDelivery, StuckState
from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.filters import filter_options, fingerprint_option, require_filter
from govid.gateway.cli.operator import (
    STATUS_HINT,
    BatchCommand,
    OperatorOptions,
    build_operator_actions,
    operator_command,
    parse_options_and_filter,
    run_batch_command,
)
from govid.gateway.cli.target import connect_at_current_schema, find_installation

_PARKED_ONLY: tuple[StuckState, ...] = ("parked",)

waiting_option = click.option(
    "--waiting", is_flag=True, help="Include keys that are retried automatically."
)


class RepairCommand(BatchCommand, frozen=True, kw_only=True):
    """A command that repairs parked or dead-lettered deliveries, with its event and texts."""

    kind: type[OutboxAct]
    run: Callable[
        [StuckDeliveries, Sequence[StuckDelivery], OperatorActions, OperatorAction, float | None],
        AsyncIterator[BatchProgress],
    ]
    states: Collection[StuckState]


RETRY = RepairCommand(
    kind=OutboxRetried,
    run=StuckDeliveries.retry,
    states=PERMANENT_STATES,
    phase="Retrying",
    question="Retry {} deliveries?",
    verb="retried",
    preview_text="{} would be retried.",
    success_text=f"{{}} will be retried within a second, with all attempts. {STATUS_HINT}",
)
UNPARK = RepairCommand(
    kind=OutboxUnparked,
    run=StuckDeliveries.unpark,
    states=_PARKED_ONLY,
    phase="Unparking",
    question="Unpark {} keys?",
    verb="unparked",
    preview_text="{} would be unparked.",
    success_text=(
        f"{{}} keys continue within a second; a key that fails again is parked again. {STATUS_HINT}"
    ),
)
DISCARD = RepairCommand(
    kind=OutboxDiscarded,
    run=StuckDeliveries.discard,
    states=PERMANENT_STATES,
    phase="Discarding",
    question="Discard {} permanently? They will never be handled.",
    verb="discarded",
    preview_text="{} would be discarded.",
    success_text=f"{{}} will never be handled; later events of their keys continue. {STATUS_HINT}",
)


@click.command(
    "retry",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox retry --fingerprint 5d1f0c2b3d4e9a71 --reason 'fixed in 1.4.2'",
)
@filter_options
@fingerprint_option
@waiting_option
@operator_command
def retry(**values: Any) -> None:
    """Retry parked keys with all attempts, and dead letters as new deliveries.

    Use it once the cause is fixed. The later events of a parked key follow in order.
    """
    _repair_deliveries(RETRY, **values)


@click.command(
    "unpark",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox unpark --subscriber nhs.booking --reason 'does it work now?'",
)
@filter_options
@fingerprint_option
@waiting_option
@operator_command
def unpark(**values: Any) -> None:
    """Let parked keys continue with their remaining attempts, at least one.

    Use it for a cautious test: a key that fails again is parked again at once. Dead letters need
    a retry.
    """
    _repair_deliveries(UNPARK, **values)


@click.command(
    "discard",
    cls=rich_click.RichCommand,
    epilog="Example: govid outbox discard --id 0199f3c1-7c1e-7b1a-9d7e-5a1f0c2b3d4e "
    "--reason 'sent twice by the test bench'",
)
@filter_options
@fingerprint_option
@operator_command
def discard(**values: Any) -> None:
    """Discard the first event of a parked key, or a dead letter, permanently.

    A receipt records that it was discarded, and the key continues with the next event. This cannot
    be undone.
    """
    _repair_deliveries(DISCARD, waiting=False, **values)


def _repair_deliveries(
    repair: RepairCommand, fingerprint: str | None, waiting: bool, **values: Any
) -> None:
    options, filter_ = parse_options_and_filter(values)
    require_filter(filter_, fingerprint)
    states = (*repair.states, "waiting") if waiting else repair.states
    asyncio.run(_run_repair(repair, options, filter_, fingerprint, states))


async def _run_repair(
    repair: RepairCommand,
    options: OperatorOptions,
    filter_: DeliveryFilter,
    fingerprint: str | None,
    states: Collection[StuckState],
) -> None:
    installation = find_installation()
    async with connect_at_current_schema(installation) as connection:
        stuck = StuckDeliveries(connection)
        deliveries = await stuck.fetch_deliveries(filter_, fingerprint, states)
        if not deliveries:
            raise CommandError(
                f"no {' or '.join(states)} delivery matches; nothing was changed.",
                "`govid outbox groups` shows all of them. Another operator may have acted already.",
            )
        names = [one.subscriber for one in deliveries]
        counts = {name: names.count(name) for name in sorted(set(names))}

        def start() -> tuple[OperatorAction, AsyncIterator[BatchProgress]]:
            action = options.build_action(repair.kind, filter_, fingerprint=fingerprint)
            actions = build_operator_actions(installation, connection)
            return action, repair.run(stuck, deliveries, actions, action, options.rate)

        await run_batch_command(repair, options, counts, start)
