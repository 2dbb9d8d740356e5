"""`govid topics`: what Kafka has of the topics, and what an operator accepts about them."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import click
import msgspec
import rich_click

from govid.bus import Outage
from govid.bus.acts import Acts, Signature
from govid.bus.contracts import Topic, TopicRecordsSkipped
from govid.bus.kafka.acceptance import (
    QUERIES,
    PartitionSwitch,
    RelayBusy,
    SwitchLapsed,
    SwitchRunning,
    TopicState,
    topic_states,
)
from govid.bus.kafka.acceptance import accept_ahead as write_acceptance
from govid.bus.kafka.acceptance import accept_gap as write_gap_acceptance
from govid.bus.kafka.archive import reading
from govid.bus.kafka.cleanup import silence_aiokafka
from govid.bus.kafka.inbound_faults import QUERIES as GAP_QUERIES
from govid.bus.kafka.inbound_faults import InboundFault, InboundFaults
from govid.bus.kafka.kafka_ahead import KafkaComparison, compare_ends
from govid.bus.kafka.topics_admin import ordered_topics
from govid.gateway.cli.acting import (
    Order,
    acts_of,
    at_head,
    order,
    ordering,
    subscriptions_of,
)
from govid.gateway.cli.audit import operator
from govid.gateway.cli.errors import CommandError, Refused, Unreachable, WrongUsage
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.settings import Target, connected, kafka_silence, target
from govid.gateway.kafka_addresses import describe_silence, why_nobody_answers


@click.group("topics", cls=rich_click.RichGroup, epilog="Example: govid topics list")
def command() -> None:
    """Compare the topics in Kafka with what govid remembers of them, and accept what changed."""


@command.command("list", epilog="Example: govid topics list --json")
@json_option
def list_(as_json: bool) -> None:
    """List the topics: the number of partitions that decides, and the one that Kafka has.

    The state is ok, changed, missing, switching, or unknown where Kafka does not answer.
    `stopped_at` names partition and offset where the inbox has stopped.
    """
    states, faults, silence = asyncio.run(_states())
    columns = ("topic", "partitions", "in_kafka", "state", "stopped_at")
    stopped: dict[str, list[str]] = {}
    for fault in faults:
        stopped.setdefault(fault.topic, []).append(f"{fault.partition}/{fault.first_offset}")
    rows = [(*msgspec.structs.astuple(one), stopped.get(one.topic)) for one in states]
    Output(as_json=as_json).table(
        columns,
        rows,
        least=("in_kafka", "partitions"),
        nothing="No topic is known yet: a server creates them when it first reaches Kafka.",
    )
    if silence is not None:
        note(f"{silence}: what Kafka has is not known.")
    if as_json:
        return
    for one in states:
        if one.state == "changed":
            note(
                f"{one.topic} has {one.in_kafka} partitions; keys are published by {one.partitions}"
                f". To use the new number: `govid topics accept {one.topic} --reason '...'`"
            )
        elif one.state == "missing":
            note(f"{one.topic} is gone; a server that runs creates it again within 30 s.")


@command.command(
    "accept",
    epilog="Example: govid topics accept nhs.appointment.request --reason 'more consumers'",
)
@click.argument("topic")
@ordering("Say what would change, change nothing.")
def accept(topic: str, **options: Any) -> None:
    """Publish by the number of partitions that TOPIC has now.

    Waits until nothing of the topic is under way, and then switches at once; servers need no
    restart. A key's later records may stand in another partition than its earlier ones, so
    consumers see no order across the switch. Let them read to the end first if they rely on it.
    """
    ordered = order(rate=None, **options)
    asyncio.run(_accept(topic, ordered))


@command.command(
    "accept-ahead",
    epilog="Example: govid topics accept-ahead --reason 'restored from the backup of Monday'",
)
@ordering("Say where Kafka is ahead, accept nothing.")
def accept_ahead(**options: Any) -> None:
    """Publish although Kafka holds events that this database does not know.

    For after a restore, when docs/restore.md was followed. Servers that wait go on within seconds.
    """
    ordered = order(rate=None, **options)
    if asyncio.run(_accept_ahead(ordered)) == 0:
        raise CommandError(
            "Kafka is not ahead of this database, so nothing was accepted.",
            "`govid outbox verify` looks at all of it.",
        )


@command.command(
    "accept-gap",
    epilog="Example: govid topics accept-gap hmrc.death.notification 0 17 --reason 'sent again'",
)
@click.argument("topic")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("first_offset", type=click.IntRange(min=0))
@ordering("Say what would be given up, give up nothing.")
def accept_gap(topic: str, partition: int, first_offset: int, **options: Any) -> None:
    """Give up inbound records that Kafka removed before they were read.

    `govid outbox verify` names each such gap by TOPIC, PARTITION and FIRST_OFFSET.
    """
    ordered = order(rate=None, **options)
    asyncio.run(_accept_gap((topic, partition, first_offset), ordered))


async def _accept_gap(gap: tuple[str, int, int], ordered: Order) -> None:
    place = target()
    topic, partition, first = gap
    async with at_head(place) as connection:
        rows = await connection.fetch(GAP_QUERIES["open_gaps"])
        found = {(row["topic"], row["partition"], row["first"]): row["next"] for row in rows}
        if gap not in found:
            raise CommandError(
                f"there is no open gap at {topic}/{partition}/{first}; nothing was changed.",
                "`govid outbox verify` names every gap.",
            )
        count = found[gap] - first
        if ordered.dry_run:
            note(f"{count} records would be given up.")
            return
        confirm(f"Give up {count} records that were never read?", yes=ordered.yes)
        acts = acts_of(place, connection, subscriptions_of(place))
        signature = Signature(operator=ordered.operator, reason=ordered.reason)
        count = await write_gap_acceptance(connection, acts, topic, partition, first, signature)
    if ordered.as_json:
        ordered.output.document({"topic": topic, "partition": partition, "given_up": count})
    note(f"{count} records are given up.")


async def accept_ahead_at_start() -> None:
    """Accept that Kafka is ahead, as `govid serve --accept-kafka-ahead` was told to."""
    ordered = Order(
        operator=operator().id or "unknown",
        reason="govid serve --accept-kafka-ahead",
        rate=None,
        dry_run=False,
        yes=True,
        as_json=False,
    )
    try:
        if await _accept_ahead(ordered) == 0:
            note("Kafka is not ahead of this database: --accept-kafka-ahead changes nothing.")
    except Unreachable as error:
        note(f"Nothing was accepted: {error.message}")


async def _accept_ahead(ordered: Order) -> int:
    """Accept the ends of all partitions that are ahead; return how many there are."""
    place = target()
    async with at_head(place) as connection:
        found = await _compare_ends(place, connection)
        for warning in found.warnings():
            note(f"warning: {warning}")
        ahead = found.ahead
        for one in ahead:
            note(f"{one.sentence}.")
        if ordered.dry_run or not ahead:
            return len(ahead)
        confirm("Publish all the same? docs/restore.md says what comes first.", yes=ordered.yes)
        acts = acts_of(place, connection, subscriptions_of(place))
        signature = Signature(operator=ordered.operator, reason=ordered.reason)
        await write_acceptance(connection, acts, ahead, signature)
    if ordered.as_json:
        ordered.output.document({f"{one.topic}/{one.partition}": one.end for one in ahead})
    note(f"Accepted for {len(ahead)} partitions; servers publish within seconds.")
    return len(ahead)


async def _compare_ends(place: Target, connection: Any) -> KafkaComparison:
    if not place.kafka_bootstrap_servers:
        raise await kafka_silence(place)
    try:
        silence_aiokafka()
        async with reading(place.kafka_bootstrap_servers) as archive:
            return await compare_ends(place.settings.bus, connection, archive)
    except Outage as error:
        raise await kafka_silence(place) from error


async def _states() -> tuple[list[TopicState], Sequence[InboundFault], str | None]:
    """Return the topics, where the inbox has stopped, and why Kafka could not be asked."""
    place = target()
    async with connected(place) as connection:
        rows = await connection.fetch(QUERIES["topics"])
        faults = await InboundFaults(connection).fetch_all()
    present = await _present(place)
    states = topic_states(rows, present, ordered_topics(place.settings.bus))
    if present is None and place.kafka_bootstrap_servers:
        return states, faults, await describe_silence(place.kafka_bootstrap_servers)
    return states, faults, None


async def _present(place: Target) -> Mapping[str, int] | None:
    """Return how many partitions each topic has; None while Kafka does not answer."""
    servers = place.kafka_bootstrap_servers
    if not servers or await why_nobody_answers(servers) is not None:
        return None
    silence_aiokafka()
    try:
        async with reading(servers) as archive:
            return await archive.partitions()
    except Outage:
        return None


async def _accept(topic: str, ordered: Order) -> None:
    place = target()
    async with at_head(place) as connection:
        state = await _changed_topic(place, connection, topic)
        if ordered.dry_run:
            note(f"{topic} would be published by {state.in_kafka} instead of {state.partitions}.")
            return
        confirm(
            f"Publish {topic} by {state.in_kafka} partitions instead of {state.partitions}? "
            "Consumers see no order across the switch.",
            yes=ordered.yes,
        )
        acts = acts_of(place, connection, subscriptions_of(place))
        before = await _switch(connection, acts, state, ordered)
    if ordered.as_json:
        result = {"topic": topic, "partitions_before": before, "partitions": state.in_kafka}
        ordered.output.document(result)
    note(
        f"{topic} is published by {state.in_kafka} partitions from now on, and was by {before}. "
        "Consumers see no order between records before the switch and after it."
    )


async def _changed_topic(place: Target, connection: Any, topic: str) -> TopicState:
    present = await _present(place)
    if present is None:
        raise await kafka_silence(place)
    states = topic_states(
        await connection.fetch(QUERIES["topics"]), present, ordered_topics(place.settings.bus)
    )
    found = {one.topic: one for one in states}
    if topic not in found:
        raise WrongUsage(
            f"govid has no topic called {topic}.", f"There are: {', '.join(found) or 'none'}."
        )
    state = found[topic]
    if state.state == "missing":
        raise Refused(
            f"Kafka has no topic {topic}; nothing was changed.",
            "A server that runs creates it again, with the number of partitions that it had.",
        )
    if state.state != "changed":
        raise CommandError(
            f"the number of partitions of {topic} is {state.state}; nothing was changed.",
            "`govid topics list` shows every topic.",
        )
    return state


async def _switch(connection: Any, acts: Acts, state: TopicState, ordered: Order) -> int:
    signature = Signature(operator=ordered.operator, reason=ordered.reason)
    try:
        return await PartitionSwitch(connection, acts).run(
            state.topic, state.in_kafka or 0, signature
        )
    except SwitchRunning as error:
        raise Refused(
            f"another operator accepts partitions of {state.topic} now; nothing was changed.",
            "`govid topics list` shows when it has ended.",
        ) from error
    except RelayBusy as error:
        raise CommandError(
            f"a server still has records of {state.topic} under way; nothing was changed.",
            "Does it reach Kafka, and is it of this release? Then run the command again.",
        ) from error
    except SwitchLapsed as error:
        raise CommandError(
            "the switch took longer than a minute; nothing was changed.", "Run it again."
        ) from error


@command.command(
    epilog="Example: govid topics skip hmrc.death.notification 2 1117 --reason 'damaged, see 72'"
)
@click.argument("topic")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
@ordering("Show what would be stepped over, change nothing.")
def skip(topic: str, partition: int, offset: int, **how: Any) -> None:
    """Step over records at which an inbound partition has stopped. They are never handled.

    Only a position that `govid outbox status` names can be stepped over. A running replica does it
    within seconds; without one it happens after the next start.
    """
    ordered = order(rate=None, **how)
    asyncio.run(_skip(ordered, topic, partition, offset))


async def _skip(ordered: Order, topic: str, partition: int, offset: int) -> None:
    place = target()
    async with at_head(place) as connection:
        faults = InboundFaults(connection)
        fault = await _find(place, faults, topic, partition, offset)
        last = fault.next_offset - 1
        what = f"offset {offset}" if last == offset else f"offsets {offset} to {last}"
        what = f"{what} of {fault.topic}, partition {partition} ({fault.kind}, {fault.reason})"
        signature = Signature(operator=ordered.operator, reason=ordered.reason)
        if ordered.dry_run:
            note(f"Would step over {what}.")
        else:
            confirm(f"Step over {what}? These records are never handled.", yes=ordered.yes)
            acts = acts_of(place, connection, subscriptions_of(place))
            if not await acts.commit_event(partial(_skipped, faults, fault, signature)):
                raise CommandError(
                    "another operator has accepted that already.",
                    "`govid outbox status` shows whether the partition goes on.",
                )
            note(f"Steps over {what} within seconds. Look again: `govid outbox status`")
        if ordered.as_json:
            ordered.output.document(
                {
                    "topic": fault.topic,
                    "partition": partition,
                    "first_offset": offset,
                    "next_offset": fault.next_offset,
                    "kind": fault.kind,
                    "reason": fault.reason,
                    "act": None if ordered.dry_run else signature.id,
                }
            )


async def _find(
    place: Target, faults: InboundFaults, topic: str, partition: int, offset: int
) -> InboundFault:
    """Return the fault at a position; *topic* is its name in Kafka or that of the contract."""
    names = {topic}
    if topic in set(Topic):
        names.add(place.settings.bus.wire_name(Topic(topic)))
    for fault in await faults.fetch_all():
        if fault.topic in names and (fault.partition, fault.first_offset) == (partition, offset):
            return fault
    raise CommandError(
        f"the inbox has not stopped at {topic}/{partition}/{offset}, so nothing was touched.",
        "`govid outbox status` names the positions at which it has.",
    )


async def _skipped(
    faults: InboundFaults, fault: InboundFault, signature: Signature
) -> TopicRecordsSkipped | None:
    accepted = await faults.accept(fault.topic, fault.partition, fault.first_offset)
    if accepted is None:
        return None
    return signature.event(
        TopicRecordsSkipped,
        topic=accepted.topic,
        partition=accepted.partition,
        first_offset=accepted.first_offset,
        next_offset=accepted.next_offset,
        fault=f"{accepted.kind}: {accepted.reason}",
    )
