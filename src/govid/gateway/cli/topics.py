"""`govid topics`: shows the topics in Kafka and accepts changes, gaps and unreadable records."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec
import rich_click

from govid.bus import Outage
from govid.bus.events import Topic
from govid.bus.kafka.client_lifecycle import silence_client_logs
from govid.bus.kafka.inbound_faults import InboundFault, InboundFaults
from govid.bus.kafka.kafka_ahead import KafkaComparison, compare_ends
from govid.bus.kafka.outage import describe_outage, explain_outage
from govid.bus.kafka.topic_reader import open_reader
from govid.bus.kafka.topics import ordered_topics
from govid.bus.operations.kafka_acceptance import (
    PartitionSwitch,
    RelayBusy,
    SwitchExpired,
    SwitchInProgress,
    TopicState,
    accept_skip,
    count_gap_records,
    fetch_topic_states,
)
from govid.bus.operations.kafka_acceptance import accept_ahead as write_acceptance
from govid.bus.operations.kafka_acceptance import accept_gap as write_gap_acceptance
from govid.bus.operations.operator_actions import OperatorActions
from govid.gateway.cli.errors import BackendUnreachable, CommandError, CommandRefused, InvalidUsage
from govid.gateway.cli.operator import (
    OperatorOptions,
    build_operator_actions,
    current_operator,
    operator_options,
    parse_operator_options,
)
from govid.gateway.cli.output import Output, json_option, print_note
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.target import (
    Installation,
    connect_at_current_schema,
    connect_to_database,
    explain_kafka_outage,
    find_installation,
)


@click.group("topics", cls=rich_click.RichGroup, epilog="Example: govid topics list")
def command() -> None:
    """Compare the topics in Kafka with those that govid has recorded, and accept changes."""


@command.command("list", epilog="Example: govid topics list --json")
@json_option
def list_(as_json: bool) -> None:
    """List the topics with the number of partitions that govid uses and the number in Kafka.

    The state is ok, changed, missing, switching, or unknown if Kafka does not answer.
    `stopped_at` names the partition and offset where the inbox has stopped.
    """
    states, faults, outage = asyncio.run(_fetch_states())
    columns = ("topic", "partitions", "in_kafka", "state", "stopped_at")
    stopped: dict[str, list[str]] = {}
    for fault in faults:
        stopped.setdefault(fault.topic, []).append(f"{fault.partition}/{fault.first_offset}")
    rows = [(*msgspec.structs.astuple(one), stopped.get(one.topic)) for one in states]
    Output(as_json=as_json).print_table(
        columns,
        rows,
        optional_columns=("in_kafka", "partitions"),
        empty_text=(
            "No topic is known yet: a server creates the topics when it first reaches Kafka."
        ),
    )
    if outage is not None:
        print_note(f"{outage}: the topics in Kafka are not known.")
    if as_json:
        return
    for one in states:
        if one.state == "changed":
            print_note(
                f"{one.topic} has {one.in_kafka} partitions, but keys are mapped to "
                f"{one.partitions}. To use the new number: "
                f"`govid topics accept {one.topic} --reason '...'`"
            )
        elif one.state == "missing":
            print_note(f"{one.topic} is missing; a running server creates it again within 30 s.")


@command.command(
    "accept",
    epilog="Example: govid topics accept nhs.appointment.request --reason 'more consumers'",
)
@click.argument("topic")
@operator_options()
def accept(topic: str, **values: Any) -> None:
    """Map keys to the number of partitions that TOPIC has now.

    Waits until no record of the topic is being sent, and then switches at once; servers need no
    restart. Later records of a key may be in another partition than its earlier ones, so consumers
    see no order across the switch. If they depend on the order, let them first read to the end.
    """
    options = parse_operator_options(**values)
    asyncio.run(_accept(topic, options))


@command.command(
    "accept-ahead",
    epilog="Example: govid topics accept-ahead --reason 'restored from the backup of Monday'",
)
@operator_options("Show where Kafka is ahead; accept nothing.")
def accept_ahead(**values: Any) -> None:
    """Publish although Kafka holds events that this database does not have.

    Use it after a restore, once docs/restore.md was followed. Waiting servers continue within
    seconds.
    """
    options = parse_operator_options(**values)
    if asyncio.run(_accept_ahead(options)) == 0:
        raise CommandError(
            "Kafka is not ahead of this database; nothing was accepted.",
            "`govid outbox verify` audits the outbox and Kafka.",
        )


@command.command(
    "accept-gap",
    epilog="Example: govid topics accept-gap hmrc.death.notification 0 17 --reason 'sent again'",
)
@click.argument("topic")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("first_offset", type=click.IntRange(min=0))
@operator_options("Show what would be given up; change nothing.")
def accept_gap(topic: str, partition: int, first_offset: int, **values: Any) -> None:
    """Give up inbound records that Kafka removed before they were read.

    `govid outbox verify` names each such gap by TOPIC, PARTITION and FIRST_OFFSET.
    """
    options = parse_operator_options(**values)
    asyncio.run(_accept_gap((topic, partition, first_offset), options))


async def _accept_gap(gap: tuple[str, int, int], options: OperatorOptions) -> None:
    installation = find_installation()
    topic, partition, first = gap
    async with connect_at_current_schema(installation) as connection:
        count = await count_gap_records(connection, topic, partition, first)
        if not count:
            raise CommandError(
                f"there is no open gap at {topic}/{partition}/{first}; nothing was changed.",
                "`govid outbox verify` names every gap.",
            )
        if options.dry_run:
            print_note(f"{count} records would be given up.")
            return
        confirm(f"Give up {count} records that were never read?", yes=options.yes)
        actions = build_operator_actions(installation, connection)
        metadata = options.build_metadata()
        count = await write_gap_acceptance(connection, actions, topic, partition, first, metadata)
    if options.as_json:
        options.output.print_document({"topic": topic, "partition": partition, "given_up": count})
    print_note(f"{count} records are given up.")


async def accept_ahead_at_start() -> None:
    """Accept that Kafka is ahead, for `govid serve --accept-kafka-ahead`."""
    options = OperatorOptions(
        operator=current_operator().id or "unknown",
        reason="govid serve --accept-kafka-ahead",
        yes=True,
    )
    try:
        if await _accept_ahead(options) == 0:
            print_note("Kafka is not ahead of this database: --accept-kafka-ahead has no effect.")
    except BackendUnreachable as error:
        print_note(f"Nothing was accepted: {error.message}")


async def _accept_ahead(options: OperatorOptions) -> int:
    """Accept the end offsets of all partitions that are ahead; return their number."""
    installation = find_installation()
    async with connect_at_current_schema(installation) as connection:
        found = await _compare_ends(installation, connection)
        for warning in found.build_warnings():
            print_note(f"warning: {warning}")
        ahead = found.ahead
        for one in ahead:
            print_note(f"{one.message}.")
        if options.dry_run or not ahead:
            return len(ahead)
        confirm("Publish anyway? Follow docs/restore.md first.", yes=options.yes)
        actions = build_operator_actions(installation, connection)
        metadata = options.build_metadata()
        await write_acceptance(connection, actions, ahead, metadata)
    if options.as_json:
        options.output.print_document({f"{one.topic}/{one.partition}": one.end for one in ahead})
    print_note(f"Accepted for {len(ahead)} partitions; servers publish within seconds.")
    return len(ahead)


async def _compare_ends(installation: Installation, connection: Any) -> KafkaComparison:
    if not installation.kafka_bootstrap_servers:
        raise await explain_kafka_outage(installation)
    try:
        silence_client_logs()
        async with open_reader(installation.kafka_clients) as reader:
            return await compare_ends(installation.settings.bus, connection, reader)
    except Outage as error:
        raise await explain_kafka_outage(installation) from error


async def _fetch_states() -> tuple[list[TopicState], Sequence[InboundFault], str | None]:
    """Return the topics, the faults of the inbox, and why Kafka did not answer, if so."""
    installation = find_installation()
    async with connect_to_database(installation) as connection:
        faults = await InboundFaults(connection).fetch_all()
        present = await _fetch_partitions(installation)
        ordered = ordered_topics(installation.settings.bus)
        states = await fetch_topic_states(connection, present, ordered)
    if present is None and installation.kafka_bootstrap_servers:
        return states, faults, await describe_outage(installation.kafka_clients)
    return states, faults, None


async def _fetch_partitions(installation: Installation) -> Mapping[str, int] | None:
    """Return the number of partitions per topic in Kafka; None if Kafka does not answer."""
    if not installation.kafka_bootstrap_servers:
        return None
    silence_client_logs()
    clients = installation.kafka_clients
    if await explain_outage(clients) is not None:
        return None
    try:
        async with open_reader(clients) as reader:
            return await reader.fetch_partition_counts()
    except Outage:
        return None


async def _accept(topic: str, options: OperatorOptions) -> None:
    installation = find_installation()
    async with connect_at_current_schema(installation) as connection:
        state = await _find_changed_topic(installation, connection, topic)
        if options.dry_run:
            print_note(
                f"{topic} would use {state.in_kafka} partitions instead of {state.partitions}."
            )
            return
        confirm(
            f"Use {state.in_kafka} partitions of {topic} instead of {state.partitions}? "
            "Consumers see no order across the switch.",
            yes=options.yes,
        )
        actions = build_operator_actions(installation, connection)
        before = await _switch_partitions(connection, actions, state, options)
    if options.as_json:
        result = {"topic": topic, "partitions_before": before, "partitions": state.in_kafka}
        options.output.print_document(result)
    print_note(
        f"{topic} uses {state.in_kafka} partitions from now on, and used {before} before. "
        "Consumers see no order between records before the switch and after it."
    )


async def _find_changed_topic(
    installation: Installation, connection: Any, topic: str
) -> TopicState:
    present = await _fetch_partitions(installation)
    if present is None:
        raise await explain_kafka_outage(installation)
    ordered = ordered_topics(installation.settings.bus)
    states = await fetch_topic_states(connection, present, ordered)
    found = {one.topic: one for one in states}
    if topic not in found:
        raise InvalidUsage(
            f"govid has no topic named {topic}.", f"There are: {', '.join(found) or 'none'}."
        )
    state = found[topic]
    if state.state == "missing":
        raise CommandRefused(
            f"Kafka has no topic {topic}; nothing was changed.",
            "A running server creates it again, with its previous number of partitions.",
        )
    if state.state != "changed":
        raise CommandError(
            f"the number of partitions of {topic} is {state.state}; nothing was changed.",
            "`govid topics list` shows every topic.",
        )
    return state


async def _switch_partitions(
    connection: Any, actions: OperatorActions, state: TopicState, options: OperatorOptions
) -> int:
    metadata = options.build_metadata()
    try:
        return await PartitionSwitch(connection, actions).run(
            state.topic, state.in_kafka or 0, metadata
        )
    except SwitchInProgress as error:
        raise CommandRefused(
            f"another operator is accepting partitions of {state.topic}; nothing was changed.",
            "`govid topics list` shows when it has ended.",
        ) from error
    except RelayBusy as error:
        raise CommandError(
            f"a server is still sending records of {state.topic}; nothing was changed.",
            "Check that it reaches Kafka and runs this release, then run the command again.",
        ) from error
    except SwitchExpired as error:
        raise CommandError(
            "the switch took longer than a minute; nothing was changed.", "Run it again."
        ) from error


@command.command(
    epilog="Example: govid topics skip hmrc.death.notification 2 1117 --reason 'damaged, see 72'"
)
@click.argument("topic")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
@operator_options("Show what would be skipped; change nothing.")
def skip(topic: str, partition: int, offset: int, **values: Any) -> None:
    """Skip records at which an inbound partition has stopped. They are never handled.

    Only a position that `govid outbox status` names can be skipped. A running replica skips it
    within seconds, otherwise the next one that starts.
    """
    options = parse_operator_options(**values)
    asyncio.run(_skip(options, topic, partition, offset))


async def _skip(options: OperatorOptions, topic: str, partition: int, offset: int) -> None:
    installation = find_installation()
    async with connect_at_current_schema(installation) as connection:
        faults = InboundFaults(connection)
        fault = await _find_fault(installation, faults, topic, partition, offset)
        if fault.is_denied:
            raise CommandRefused(
                f"Kafka's ACLs do not allow govid to read {fault.topic}; nothing was skipped, "
                "because its records can be read.",
                "Grant what `govid check` names; the partition then continues without a restart.",
            )
        last = fault.next_offset - 1
        what = f"offset {offset}" if last == offset else f"offsets {offset} to {last}"
        what = f"{what} of {fault.topic}, partition {partition} ({fault.kind}, {fault.reason})"
        metadata = options.build_metadata()
        if options.dry_run:
            print_note(f"Would skip {what}.")
        else:
            confirm(f"Skip {what}? These records are never handled.", yes=options.yes)
            actions = build_operator_actions(installation, connection)
            if not await accept_skip(faults, actions, fault, metadata):
                raise CommandError(
                    "another operator has already accepted this.",
                    "`govid outbox status` shows whether the partition continues.",
                )
            print_note(f"{what} will be skipped within seconds. Check again: `govid outbox status`")
        if options.as_json:
            options.output.print_document(
                {
                    "topic": fault.topic,
                    "partition": partition,
                    "first_offset": offset,
                    "next_offset": fault.next_offset,
                    "kind": fault.kind,
                    "reason": fault.reason,
                    "act": None if options.dry_run else metadata.id,
                }
            )


async def _find_fault(
    installation: Installation, faults: InboundFaults, topic: str, partition: int, offset: int
) -> InboundFault:
    """Return the fault at a position; *topic* is its name in Kafka or in the contract."""
    names = {topic}
    if topic in set(Topic):
        names.add(installation.settings.bus.wire_name(Topic(topic)))
    for fault in await faults.fetch_all():
        if fault.topic in names and (fault.partition, fault.first_offset) == (partition, offset):
            return fault
    raise CommandError(
        f"the inbox has not stopped at {topic}/{partition}/{offset}; nothing was changed.",
        "`govid outbox status` names the positions where it has.",
    )
