"""The events that pass, from Kafka or from the outbox, in one shape."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from functools import partial
from typing import Any, Literal

import msgspec

from govid.bus import Outage
from govid.bus.contracts import Topic
from govid.bus.ids import EPOCH, first_uuid7_of
from govid.bus.kafka.tail import Record, watching
from govid.bus.masking import MASK, masked
from govid.gateway.cli.errors import Unreachable
from govid.gateway.cli.output import note, one_line
from govid.gateway.cli.settings import Target, connected, kafka_silence
from govid.gateway.kafka_addresses import describe_silence

Source = Literal["kafka", "outbox"]
NO_TIME = EPOCH
"""Shown for a record whose times are not those of a calendar."""
POLL_SECONDS = 0.2
BATCH = 5000
LOOK_BACK = 1000
"""Positions are handed out before their transactions commit; so far back a late one is found."""

_PASSED = """
    SELECT pos, id::text AS id, type, topic, key, record_key, payload::text AS payload, occurred_at
    FROM bus.event WHERE pos > $1 ORDER BY pos LIMIT $2
"""


_LAST = "SELECT coalesce(max(pos), 0) FROM bus.event"
# By id, which begins with the time of the event. Ids and positions disagree about the order of
# events of the same moment only, so the lowest position is among the first ids.
FIRST_SINCE = """
    SELECT coalesce(min(pos) - 1, (SELECT max(pos) FROM bus.event), 0)
    FROM (SELECT pos FROM bus.event WHERE id >= $1 ORDER BY id LIMIT $2) AS first
"""


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """One event that passed. `payload` is masked, unless it was asked for raw.

    `position` is partition/offset in Kafka, the position in the outbox otherwise.
    """

    topic: str | None
    type: str | None
    id: str | None
    key: str | None
    time: datetime
    position: str
    payload: Any

    def __repr__(self) -> str:
        """Name the place only (I9)."""
        return f"<Passed {self.topic} {self.position}>"

    def text(self) -> str:
        """Return one line for a person; a terminal may break it at blanks."""
        clock = self.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
        payload = msgspec.json.format(msgspec.json.encode(self.payload), indent=0).decode()
        # Type and key are what anybody wrote who may write to the topic.
        return one_line(
            f"{clock}  {self.topic or '(inside)'}  {self.type or '-'}  {self.key or '-'}  {payload}"
        )


@asynccontextmanager
async def following(
    place: Target,
    *,
    topics: Sequence[Topic] = tuple(Topic),
    source: Source | None = None,
    since: datetime | None = None,
    ends: bool = False,
    raw: bool = False,
) -> AsyncIterator[AsyncIterator[Passed]]:
    """Follow what passes: in Kafka where there is one, in the outbox otherwise.

    With *ends* it ends where the records end now, and else never.

    Raises:
        Unreachable: *source* was asked for and does not answer, or neither does.
    """
    if source != "outbox" and (source == "kafka" or place.kafka_bootstrap_servers):
        if not place.kafka_bootstrap_servers:
            raise Unreachable("no Kafka is known.", "Set GOVID_KAFKA_BOOTSTRAP_SERVERS.")
        names = [place.settings.bus.wire_name(topic) for topic in topics]
        in_memory = place.running is not None and place.running.kafka_in_memory
        # The in-memory broker forgets times: everything is read, and what is too old left out.
        try:
            async with watching(
                place.kafka_bootstrap_servers,
                names,
                since=since,
                from_start=in_memory and since is not None,
                to_end=ends,
                on_missing=partial(_say_absent, ends),
            ) as records:
                yield _from_kafka(records, since, raw=raw)
                return
        except Outage as error:
            if source == "kafka":
                raise await kafka_silence(place, "`--source outbox` does without.") from error
            note(f"{await describe_silence(place.kafka_bootstrap_servers)}: reading the outbox.")
    async with connected(place) as connection:
        note("From the outbox: activity records and decisions about reads are not there.")
        start = await _start(connection, since)
        wanted = {*map(str, topics)} if len(topics) < len(Topic) else None
        yield _from_outbox(connection, start, wanted, ends=ends, raw=raw)


def _say_absent(ends: bool, names: Sequence[str]) -> None:
    then = "Nothing has passed there" if ends else "What comes then is shown"
    note(
        f"Kafka has no topic {', '.join(names)}. A server makes its topics when it starts.\n"
        f"{then}. If a server runs: is this its Kafka? `govid config show` tells."
    )


async def _from_kafka(
    records: AsyncIterator[Record], since: datetime | None, *, raw: bool
) -> AsyncIterator[Passed]:
    async for record in records:
        payload = _payload(record.value)
        passed = Passed(
            topic=record.topic,
            type=record.headers.get("ce_type"),
            id=record.headers.get("ce_id"),
            key=record.key,
            time=_time(record, payload),
            position=f"{record.partition}/{record.offset}",
            payload=payload if raw else _masked(payload, record.headers.get("ce_type")),
        )
        if since is None or passed.time >= since:
            yield passed


async def _start(connection: Any, since: datetime | None) -> int:
    """Return the position before the first event to show."""
    if since is None:
        position: int = await connection.fetchval(_LAST)
    else:
        position = await connection.fetchval(FIRST_SINCE, first_uuid7_of(since), LOOK_BACK)
    return position


async def _from_outbox(
    connection: Any, start: int, topics: set[str] | None, *, ends: bool, raw: bool
) -> AsyncIterator[Passed]:
    seen: set[int] = set()
    floor = start
    while True:
        rows = await connection.fetch(_PASSED, floor, BATCH)
        for row in rows:
            if row["pos"] in seen:
                continue
            seen.add(row["pos"])
            if topics is not None and row["topic"] not in topics:
                continue
            payload = msgspec.json.decode(row["payload"])
            yield Passed(
                topic=row["topic"],
                type=row["type"],
                id=row["id"],
                key=row["record_key"],
                time=row["occurred_at"],
                position=str(row["pos"]),
                payload=payload if raw else masked(payload, row["type"]),
            )
        if ends and len(rows) < BATCH:
            return
        floor = max(start, max(seen, default=start) - LOOK_BACK)
        seen = {pos for pos in seen if pos > floor}
        await asyncio.sleep(POLL_SECONDS)


def _payload(value: bytes) -> Any:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value.decode("utf-8", "replace")


def _masked(payload: Any, kind: str | None) -> Any:
    return masked(payload, kind) if isinstance(payload, dict) else MASK


def _time(record: Record, payload: Any) -> datetime:
    told = record.headers.get("ce_time") or (
        payload.get("timestamp") if isinstance(payload, dict) else None
    )
    try:
        moment = datetime.fromisoformat(str(told))
    except ValueError:
        return _stored_at(record)
    # Near the ends of the calendar a moment has no counterpart in every time zone.
    if not MINYEAR < moment.year < MAXYEAR:
        return _stored_at(record)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _stored_at(record: Record) -> datetime:
    """Return the time of *record* in its topic, which may be any number that its producer likes."""
    try:
        moment = datetime.fromtimestamp(record.timestamp / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return NO_TIME
    return moment if MINYEAR < moment.year < MAXYEAR else NO_TIME
