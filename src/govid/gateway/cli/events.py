"""`govid events tail`: follows events in Kafka or in the outbox, in one common form."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from functools import partial
from typing import Any, ClassVar, Literal

import click
import msgspec
import rich_click

from govid.bus import Outage
from govid.bus.events import Topic
from govid.bus.events.masking import MASK, mask_payload
from govid.bus.kafka.outage import describe_outage
from govid.bus.kafka.topic_tail import TailRecord, open_tail
from govid.bus.operations.outbox_tail import OutboxTail, StoredEvent
from govid.bus.shared.ids import EPOCH
from govid.bus.shared.privacy import RedactedStruct
from govid.gateway.cli.errors import BackendUnreachable, CommandRefused, InvalidUsage
from govid.gateway.cli.filters import MOMENT
from govid.gateway.cli.operator import log_operator_action, parse_reason, record_data_view
from govid.gateway.cli.output import Output, escape_line, json_option, print_note
from govid.gateway.cli.target import (
    Installation,
    connect_to_database,
    explain_kafka_outage,
    find_installation,
)

EventSource = Literal["kafka", "outbox"]
NO_TIME = EPOCH
"""Shown for a record whose timestamps are outside the calendar."""


class ObservedEvent(RedactedStruct, frozen=True, kw_only=True):
    """One event that was read. `payload` is masked unless raw payloads were requested.

    `position` is partition/offset in Kafka, otherwise the position in the outbox.
    """

    topic: str | None
    type: str | None
    id: str | None
    key: str | None
    time: datetime
    position: str
    payload: Any

    repr_members: ClassVar[tuple[str, ...]] = (
        "topic",
        "position",
    )

    def format_line(self) -> str:
        """Return one line of text; a terminal may break it at spaces."""
        clock = self.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
        payload = msgspec.json.format(msgspec.json.encode(self.payload), indent=0).decode()
        # Type and key can be chosen by any client that may write to the topic.
        return escape_line(
            f"{clock}  {self.topic or '(inside)'}  {self.type or '-'}  {self.key or '-'}  {payload}"
        )


@asynccontextmanager
async def follow_events(
    installation: Installation,
    *,
    topics: Sequence[Topic] = tuple(Topic),
    source: EventSource | None = None,
    since: datetime | None = None,
    stops_at_end: bool = False,
    raw: bool = False,
) -> AsyncIterator[AsyncIterator[ObservedEvent]]:
    """Follow events in Kafka if it is configured and answers, otherwise in the outbox.

    With *stops_at_end* the events end at the present end of the records, otherwise never.

    Raises:
        BackendUnreachable: the requested *source* does not answer, or neither of them does.
    """
    if source != "outbox" and (source == "kafka" or installation.kafka_bootstrap_servers):
        if not installation.kafka_bootstrap_servers:
            raise BackendUnreachable(
                "no Kafka is configured.", "Set GOVID_KAFKA_BOOTSTRAP_SERVERS."
            )
        names = [installation.settings.bus.wire_name(topic) for topic in topics]
        in_memory = installation.running is not None and installation.running.kafka_in_memory
        # The in-memory broker keeps no timestamps: all records are read, and older ones dropped.
        try:
            async with open_tail(
                installation.kafka_clients,
                names,
                since=since,
                from_start=in_memory and since is not None,
                to_end=stops_at_end,
                on_missing=partial(_report_missing_topics, stops_at_end),
            ) as records:
                yield _read_kafka(records, since, raw=raw)
                return
        except Outage as error:
            if source == "kafka":
                raise await explain_kafka_outage(
                    installation, "`--source outbox` needs no Kafka."
                ) from error
            outage = await describe_outage(installation.kafka_clients)
            print_note(f"{outage}: reading the outbox.")
    async with connect_to_database(installation) as connection:
        print_note("From the outbox: it has no activity records and no decisions about reads.")
        tail = OutboxTail(connection)
        stored = tail.read(await tail.find_start(since), stops_at_end=stops_at_end)
        wanted = {*map(str, topics)} if len(topics) < len(Topic) else None
        yield _read_outbox(stored, wanted, raw=raw)


def _report_missing_topics(stops_at_end: bool, names: Sequence[str]) -> None:
    then = "It has no records" if stops_at_end else "Its records are shown as soon as it exists"
    print_note(
        f"Kafka has no topic {', '.join(names)}. A server creates its topics when it starts.\n"
        f"{then}. If a server runs, check that it uses this Kafka: `govid config show`"
    )


async def _read_kafka(
    records: AsyncIterator[TailRecord], since: datetime | None, *, raw: bool
) -> AsyncIterator[ObservedEvent]:
    async for record in records:
        payload = _decode_payload(record.value)
        event = ObservedEvent(
            topic=record.topic,
            type=record.headers.get("ce_type"),
            id=record.headers.get("ce_id"),
            key=record.key,
            time=_read_time(record, payload),
            position=f"{record.partition}/{record.offset}",
            payload=payload if raw else _mask_payload(payload, record.headers.get("ce_type")),
        )
        if since is None or event.time >= since:
            yield event


async def _read_outbox(
    events: AsyncIterator[StoredEvent], topics: set[str] | None, *, raw: bool
) -> AsyncIterator[ObservedEvent]:
    async for event in events:
        if topics is not None and event.topic not in topics:
            continue
        payload = msgspec.json.decode(event.payload)
        yield ObservedEvent(
            topic=event.topic,
            type=event.type,
            id=event.id,
            key=event.record_key,
            time=event.occurred_at,
            position=str(event.position),
            payload=payload if raw else mask_payload(payload, event.type),
        )


def _decode_payload(value: bytes) -> Any:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value.decode("utf-8", "replace")


def _mask_payload(payload: Any, kind: str | None) -> Any:
    return mask_payload(payload, kind) if isinstance(payload, dict) else MASK


def _read_time(record: TailRecord, payload: Any) -> datetime:
    stated = record.headers.get("ce_time") or (
        payload.get("timestamp") if isinstance(payload, dict) else None
    )
    try:
        moment = datetime.fromisoformat(str(stated))
    except ValueError:
        return _read_timestamp(record)
    # Near the ends of the calendar a time cannot be represented in every time zone.
    if not MINYEAR < moment.year < MAXYEAR:
        return _read_timestamp(record)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read_timestamp(record: TailRecord) -> datetime:
    """Return the record's timestamp in its topic. A producer can set it to any number."""
    try:
        moment = datetime.fromtimestamp(record.timestamp / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return NO_TIME
    return moment if MINYEAR < moment.year < MAXYEAR else NO_TIME


@click.group("events", cls=rich_click.RichGroup, epilog="Example: govid events tail")
def command() -> None:
    """Follow the events on the topics."""


@command.command(epilog="Example: govid events tail --topic identity.verification.result --json")
@click.option(
    "--topic",
    "topics",
    type=click.Choice([str(topic) for topic in Topic]),
    multiple=True,
    metavar="TOPIC",
    help="Only this topic; repeatable. Without it: all topics.",
)
@click.option("--type", "type_", help="Only events of this type, like hmrc.death.notified.")
@click.option("--key", help="Only records with this key: an account id.")
@click.option("--since", type=MOMENT, help="Start at this time, or age (15m, 2h, 7d).")
@click.option("--no-follow", is_flag=True, help="Stop at the end of the records; requires --since.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many records.")
@click.option(
    "--source",
    type=click.Choice(["kafka", "outbox"]),
    help="Read from here.  [default: kafka if it answers]",
)
@click.option(
    "--raw", is_flag=True, help="Do not mask values; outside `govid dev` requires --reason."
)
@click.option("--reason", help="Why personal data must be shown. Written to the log.")
@json_option
def tail(
    *,
    topics: tuple[str, ...],
    type_: str | None,
    key: str | None,
    since: datetime | None,
    no_follow: bool,
    limit: int | None,
    source: EventSource | None,
    raw: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Print each new record, with personal values masked, until Ctrl-C.

    Reads Kafka if it is configured and answers, otherwise the outbox.
    """
    if no_follow and since is None:
        raise InvalidUsage("--no-follow shows past records only: give their start with --since.")
    stated = parse_reason(reason)
    installation = find_installation()
    if raw:
        _check_raw_allowed(installation, stated)
    output = Output(as_json=as_json)

    async def print_events() -> None:
        if raw and not installation.is_demonstration:
            await record_data_view(installation, "events tail --raw", reason=stated)
        chosen = tuple(map(Topic, topics)) or tuple(Topic)
        left = limit
        async with follow_events(
            installation, topics=chosen, source=source, since=since, stops_at_end=no_follow, raw=raw
        ) as events:
            if not no_follow:
                print_note("Listening. Ctrl-C ends.")
            async for one in events:
                if not _matches(one, type_, key):
                    continue
                output.print_item(one, one.format_line())
                left = None if left is None else left - 1
                if left == 0:
                    return

    asyncio.run(print_events())


def _matches(event: ObservedEvent, type_: str | None, key: str | None) -> bool:
    # The header includes the version: hmrc.death.notified.v1.
    return (key is None or event.key == key) and (
        type_ is None or type_ in {event.type, (event.type or "").rpartition(".v")[0]}
    )


def _check_raw_allowed(installation: Installation, reason: str) -> None:
    if installation.is_demonstration:
        return
    if not reason:
        raise CommandRefused(
            "--raw shows personal data, and this is not the data of `govid dev`.",
            "Give a --reason; it is written to the log.",
        )
    log_operator_action("events.read_raw", reason=reason)
