"""Requirement 14: inbound records take effect once; records that govid published have none."""

import asyncio
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.record.util import calc_crc32c
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from govid.bus.events import Topic
from govid.bus.kafka import inbound_records
from tests.kafka.fixtures import MODULE, KafkaFixture, header, wait_until

pytestmark = pytest.mark.kafka

ACCOUNT = "019d0000-0000-7000-8000-000000000001"
NOTICE = {
    "identifierType": "NIN",
    "identifierValue": "AB123456C",
    "reason": "registered",
    "timestamp": "2026-01-01T00:00:00Z",
}
RESULT = {
    "userId": ACCOUNT,
    "identifierType": "NHS",
    "isVerified": True,
    "timestamp": "2026-01-01T00:00:00Z",
    "error": None,
}
MARKER = {**NOTICE, "reason": "the last of this test"}

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """A record as the inbox sees it."""

    topic: str
    value: bytes
    headers: Headers
    key: bytes | None = b"k"
    partition: int = 0
    offset: int = 7
    timestamp: int = 1_000


async def publish(
    replica: KafkaFixture, topic: Topic, *records: tuple[bytes | None, Headers]
) -> None:
    """Write *records* to one partition, then a notice by which the reader's progress is seen."""
    async with replica.external_producer() as producer:
        for value, headers in records:
            await producer.send_and_wait(
                replica.wire_name(topic), value, partition=0, headers=headers, key=b"k"
            )
        await producer.send_and_wait(replica.wire_name(topic), send_marker(topic), partition=0)
    await wait_until(lambda: has_seen_marker(replica))


def send_marker(topic: Topic) -> bytes:
    body = MARKER if topic is Topic.DEATH_NOTIFICATION else {**RESULT, "error": MARKER["reason"]}
    return msgspec.json.encode(body)


async def has_seen_marker(replica: KafkaFixture) -> bool:
    return await replica.count("event", f"payload::text LIKE '%{MARKER['reason']}%'") > 0


async def stored(replica: KafkaFixture) -> list[Any]:
    """Return what came in, without the mark."""
    rows = await replica.database.reads.fetch(
        "SELECT type, version, key, payload::text AS payload, headers->>'correlation_id' AS c "
        "FROM bus.event WHERE payload::text NOT LIKE $1 ORDER BY pos",
        f"%{MARKER['reason']}%",
    )
    return list(rows)


def encoded(body: dict[str, object]) -> bytes:
    return msgspec.json.encode(body)


async def test_r14_a_message_from_outside_reaches_the_modules_and_not_kafka(
    replica: KafkaFixture,
) -> None:
    await publish(
        replica, Topic.DEATH_NOTIFICATION, (encoded(NOTICE), [("correlation_id", b"outside-1")])
    )
    (event,) = await stored(replica)
    assert event["type"] == "hmrc.death.notified"
    assert event["payload"].encode() == encoded(NOTICE)
    assert event["c"] == "outside-1"
    assert "AB123456C" not in event["key"]
    rows = await replica.database.reads.fetch("SELECT DISTINCT subscriber FROM bus.delivery")
    assert [row["subscriber"] for row in rows] == [MODULE]


@pytest.mark.parametrize("topic", [Topic.DEATH_NOTIFICATION, Topic.VERIFICATION_RESULT])
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_a1_records_of_every_codec_are_read(
    replica: KafkaFixture, codec: str, topic: Topic
) -> None:
    notice = {**NOTICE, "reason": "compressed " * 40}
    body = notice if topic is Topic.DEATH_NOTIFICATION else {**RESULT, "later": "member " * 40}
    settings = {
        "bootstrap.servers": replica.settings.kafka_bootstrap_servers,
        "compression.type": codec,
        "linger.ms": 50,
    }
    await replica.wait_until_healthy()
    producer = Producer(settings)
    for number in range(5):
        producer.produce(
            replica.wire_name(topic), encoded({**body, "number": number}), partition=number % 2
        )
    await asyncio.to_thread(producer.flush, 20)
    await wait_until(lambda: replica.holds("event", 5))
    rows = await replica.database.reads.fetch("SELECT payload::text AS payload FROM bus.event")
    assert sorted(msgspec.json.decode(row["payload"])["number"] for row in rows) == [*range(5)]


@pytest.mark.parametrize(
    ("identifier_type", "type_name"),
    [("NHS", "nhs.verification.completed"), ("NIN", "hmrc.verification.completed")],
)
async def test_r14_a_result_is_its_departments(
    replica: KafkaFixture, identifier_type: str, type_name: str
) -> None:
    body = encoded({**RESULT, "identifierType": identifier_type, "later": {"member": 1}})
    await publish(replica, Topic.VERIFICATION_RESULT, (body, []))
    (event,) = await stored(replica)
    assert (event["type"], event["version"]) == (type_name, 1)
    assert event["key"] == f"verification/{ACCOUNT}"
    assert event["payload"].encode() == body


IDS: dict[str, Headers] = {
    "text": [("ce_id", b"free text, with spaces")],
    "umlaut": [("ce_id", "ümläut".encode())],
    "bytes": [("ce_id", b"\xff\x00 not even text")],
    "10 kB": [("ce_id", b"x" * 10_000)],
    "uuid1": [("ce_id", str(UUID(int=1, version=1)).encode())],
    "uuid4": [("ce_id", str(uuid4()).encode())],
    "braces": [("ce_id", b"{019D0000-0000-7000-8000-000000000009}")],
    "dash": [("ce-id", b"1")],
    "bare": [("id", b"1")],
    "message id": [("message-id", b"1")],
    "message_id": [("MESSAGE_ID", b"1")],
    "empty source": [("ce_id", b"1"), ("ce_source", b"")],
}
each_id = pytest.mark.parametrize("headers", IDS.values(), ids=IDS)
OTHER = {**NOTICE, "identifierValue": "KE000000A"}


async def outcomes(replica: KafkaFixture) -> dict[str, float]:
    """Return how many records of the death topic had each outcome, without the mark."""
    found = {
        outcome: replica.registry.get_sample_value(
            "govid_inbox_records_total",
            {"topic": Topic.DEATH_NOTIFICATION.value, "outcome": outcome},
        )
        for outcome in ("taken", "known", "conflict", "unreadable")
    }
    counts = {outcome: count or 0.0 for outcome, count in found.items()}
    return {**counts, "taken": counts["taken"] - 1}


async def have_been(replica: KafkaFixture, expected: dict[str, float]) -> bool:
    return await outcomes(replica) == expected


@each_id
async def test_a4_an_id_without_a_source_is_one_record_for_each_content(
    replica: KafkaFixture, headers: Headers
) -> None:
    one, other = encoded(NOTICE), encoded(OTHER)
    records = [(body, headers) for body in (one, other, one, other)]
    await publish(replica, Topic.DEATH_NOTIFICATION, *records)
    assert [event["payload"].encode() for event in await stored(replica)] == [one, other]
    expected = {"taken": 2, "known": 2, "conflict": 0, "unreadable": 0}
    await wait_until(lambda: have_been(replica, expected))


@each_id
async def test_a4_a_source_uses_an_id_for_one_content(
    replica: KafkaFixture, headers: Headers, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = encoded(NOTICE), encoded(OTHER)
    with_source = [*headers, ("ce_source", b"//elsewhere")]
    records = [(body, with_source) for body in (one, one, other)]
    await publish(replica, Topic.DEATH_NOTIFICATION, *records)
    assert [event["payload"].encode() for event in await stored(replica)] == [one]
    expected = {"taken": 1, "known": 1, "conflict": 1, "unreadable": 0}
    await wait_until(lambda: have_been(replica, expected))
    (record,) = await replica.read(f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq", 1)
    assert (record.value, header(record, "dlq_reason")) == (other, "id-reused")
    (line,) = [one for one in caplog.records if one.message == "inbox.record_conflict"]
    assert (line.levelname, line.partition, line.offset) == ("ERROR", 0, 2)


async def test_a4_two_sources_may_use_one_id(replica: KafkaFixture) -> None:
    one, other = encoded(NOTICE), encoded(OTHER)
    await publish(
        replica,
        Topic.DEATH_NOTIFICATION,
        (one, [("ce_id", b"1"), ("ce_source", b"/a")]),
        (other, [("ce_id", b"1"), ("ce_source", b"/b")]),
    )
    assert [event["payload"].encode() for event in await stored(replica)] == [one, other]


@pytest.mark.parametrize(
    "source", [[], [("ce_source", b"//elsewhere")], [("ce_source", b"/govid/nhs")]]
)
async def test_a4_the_id_of_an_event_of_govid_makes_no_echo_of_other_content(
    replica: KafkaFixture, source: Headers
) -> None:
    await publish(replica, Topic.DEATH_NOTIFICATION, (encoded(NOTICE), []))
    event_id = await replica.database.reads.fetchval(
        "SELECT id FROM bus.event WHERE payload->>'reason' = 'registered'"
    )
    headers = [("ce_id", str(event_id).encode()), *source]
    async with replica.external_producer() as producer:
        await producer.send_and_wait(
            replica.wire_name(Topic.DEATH_NOTIFICATION),
            encoded(OTHER),
            partition=0,
            headers=headers,
        )
    await wait_until(lambda: replica.holds("event", 1, "payload->>'identifierValue' = 'KE000000A'"))


async def age(replica: KafkaFixture) -> None:
    """Make the rows of the inbox as an older release wrote them."""
    await replica.database.reads.execute("UPDATE bus.inbox SET digest = NULL")


@pytest.mark.parametrize(
    ("headers", "taken", "conflict"),
    [([], 1, 0), ([("id", b"1")], 1, 0), ([("ce_id", b"1"), ("ce_source", b"/a")], 0, 1)],
    ids=["place", "bare", "source"],
)
async def test_a8_an_old_row_is_known_only_by_the_payload_of_its_event(
    replica: KafkaFixture, headers: Headers, taken: int, conflict: int
) -> None:
    name = replica.wire_name(Topic.DEATH_NOTIFICATION)
    record = Record(name, encoded({**NOTICE, "timestamp": "2026-01-01T00:00:00"}), headers)
    other = record._replace(value=encoded(OTHER))
    intake = replica.kafka.inbox._parser
    names, conflicts = await replica.kafka.inbox._commit(
        [intake.parse(Topic.DEATH_NOTIFICATION, record)]
    )
    assert (names, conflicts) == ({MODULE}, set())
    await age(replica)
    again = intake.parse(Topic.DEATH_NOTIFICATION, record)
    assert await replica.kafka.inbox._commit([again]) == (set(), set())
    changed = intake.parse(Topic.DEATH_NOTIFICATION, other)
    names, conflicts = await replica.kafka.inbox._commit([changed])
    assert (len(names), len(conflicts)) == (taken, conflict)
    # What has come in by its content is known from then on.
    once_more = intake.parse(Topic.DEATH_NOTIFICATION, other)
    assert (await replica.kafka.inbox._commit([once_more]))[0] == set()


@pytest.mark.parametrize(
    "change",
    [{"timestamp": 2_000}, {"key": b"another"}, {"key": None}, {"value": encoded(OTHER)}],
    ids=["time", "key", "no key", "value"],
)
async def test_a8_another_record_at_an_old_place_is_a_new_one(
    replica: KafkaFixture, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "govid")
    inbox, topic = replica.kafka.inbox, Topic.DEATH_NOTIFICATION
    record = Record(replica.wire_name(topic), encoded(NOTICE), [])
    for one in (record, record, record._replace(**change), record._replace(**change), record):
        await inbox._commit([inbox._parser.parse(topic, one)])
    assert len(await stored(replica)) == 2
    assert caplog.messages.count("inbox.place_reused") == 1


async def test_a8_notices_in_a_topic_that_was_created_again_are_applied(
    replica: KafkaFixture,
) -> None:
    await publish(replica, Topic.DEATH_NOTIFICATION, (encoded(NOTICE), []))
    before = await replica.count("event")
    await replica.kafka.stop()
    name = replica.wire_name(Topic.DEATH_NOTIFICATION)
    admin = AdminClient({"bootstrap.servers": replica.settings.kafka_bootstrap_servers})
    await asyncio.to_thread(lambda: admin.delete_topics([name])[name].result(20))
    await wait_until(lambda: is_gone(admin, name))
    async with KafkaFixture(replica.settings, replica.database).run() as second:
        await second.wait_until_healthy()
        async with second.external_producer() as producer:
            await producer.send_and_wait(name, encoded(OTHER), partition=0, key=b"k")
        await wait_until(lambda: second.holds("event", before + 1))
    last = (await stored(replica))[-1]
    assert last["payload"].encode() == encoded(OTHER)


async def is_gone(admin: AdminClient, name: str) -> bool:
    metadata = await asyncio.to_thread(admin.list_topics, timeout=5)
    return name not in metadata.topics


async def test_r14_without_an_id_each_record_is_one_of_its_own(replica: KafkaFixture) -> None:
    await publish(replica, Topic.DEATH_NOTIFICATION, (encoded(NOTICE), []), (encoded(NOTICE), []))
    assert len(await stored(replica)) == 2
    assert await replica.count("inbox") == 3


async def test_r14_a_record_that_comes_again_after_a_restart_takes_effect_once(
    replica: KafkaFixture,
) -> None:
    await publish(replica, Topic.DEATH_NOTIFICATION, (encoded(NOTICE), []))
    await replica.kafka.stop()
    settings = msgspec.structs.replace(
        replica.settings, kafka_client_id=f"{replica.settings.kafka_client_id}-again"
    )
    # Another group: it reads the topic from its beginning, as after lost offsets.
    async with KafkaFixture(settings, replica.database).run() as second:
        await second.wait_until_healthy()
        await publish(second, Topic.VERIFICATION_RESULT, (encoded(RESULT), []))
        await wait_until(lambda: has_caught_up(second, Topic.DEATH_NOTIFICATION, 2))
    notices = [e for e in await stored(replica) if e["type"] == "hmrc.death.notified"]
    assert len(notices) == 1


async def test_r14_an_echo_has_no_effect(replica: KafkaFixture) -> None:
    event = replica.sealer.registry.decode(
        replica.sealer.registry.get_type("nhs.verification.completed", 1), encoded(RESULT)
    )
    await replica.emit(event)
    await replica.wait_until_drained()
    before = await replica.count("event")
    await publish(replica, Topic.VERIFICATION_RESULT)
    await wait_until(lambda: has_caught_up(replica, Topic.VERIFICATION_RESULT, 2))
    assert await replica.count("event") == before + 1
    assert await replica.count("inbox") == 1


async def test_r14_a_time_without_an_offset_is_utc(replica: KafkaFixture) -> None:
    await publish(
        replica,
        Topic.DEATH_NOTIFICATION,
        (encoded({**NOTICE, "timestamp": "2026-01-01T00:00:00", "more": [1]}), []),
    )
    (event,) = await stored(replica)
    assert msgspec.json.decode(event["payload"]) == {
        **NOTICE, "timestamp": "2026-01-01T00:00:00Z", "more": [1]
    }  # fmt: skip


TYPES_OF_OTHERS = [
    b"uk.gov.hmrc.death-notified",
    b"com.example.other.v1",
    b"hmrc.death.withdrawn.v1",
    b"hmrc.death",
    b"nhs.verification.completed.v1",
    b"\xff\xfe",
    b"x" * 5_000,
]


@pytest.mark.parametrize("type_name", TYPES_OF_OTHERS)
async def test_a6_the_type_that_a_sender_names_does_not_void_a_notice(
    replica: KafkaFixture, type_name: bytes
) -> None:
    await publish(replica, Topic.DEATH_NOTIFICATION, (encoded(NOTICE), [("ce_type", type_name)]))
    (event,) = await stored(replica)
    assert (event["type"], event["version"]) == ("hmrc.death.notified", 1)
    assert await replica.count("parked") == 0


@pytest.mark.parametrize("type_name", TYPES_OF_OTHERS[:3])
async def test_a6_what_does_not_fit_the_shape_of_its_topic_is_a_dead_letter(
    replica: KafkaFixture, type_name: bytes
) -> None:
    body = encoded({"shape": "of another"})
    await publish(replica, Topic.DEATH_NOTIFICATION, (body, [("ce_type", type_name)]))
    (record,) = await replica.read(f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq", 1)
    assert (record.value, header(record, "dlq_reason")) == (body, "wrong-shape")
    assert await stored(replica) == []


@pytest.mark.parametrize(
    ("type_name", "name", "version"),
    [
        ("hmrc.death.notified.v2", "hmrc.death.notified", 2),
        ("hmrc.death.notified.v999999", "hmrc.death.notified", 999999),
    ],
)
async def test_a6_a_newer_version_of_a_type_is_parked_and_not_lost(
    replica: KafkaFixture, type_name: str, name: str, version: int
) -> None:
    body = encoded({"shape": "of the future"})
    await publish(replica, Topic.DEATH_NOTIFICATION, (body, [("ce_type", type_name.encode())]))
    (event,) = await stored(replica)
    assert (event["type"], event["version"], event["payload"].encode()) == (name, version, body)
    parked = await replica.database.reads.fetchrow(
        "SELECT subscriber, key, reason, until = 'infinity' AS for_good FROM bus.parked"
    )
    assert tuple(parked) == (MODULE, event["key"], "unknown_type", True)
    assert await replica.count("receipt") == 0
    assert await replica.count("delivery", f"key = '{event['key']}'") == 1


@pytest.mark.parametrize(
    ("value", "reason", "place"),
    [
        (b"not json", "not-json", ""),
        (b"\xff\xfe", "not-json", ""),
        (b'{"more":' + b"[" * 100_000, "not-json", ""),
        (None, "empty", ""),
        (b"[]", "wrong-shape", "$"),
        (encoded({**NOTICE, "identifierType": "AB123456C"}), "wrong-shape", "$.identifierType"),
        (encoded({**NOTICE, "identifierValue": "AB\x00"}), "wrong-shape", "$.identifierValue"),
        (encoded({**NOTICE, "timestamp": "yesterday"}), "wrong-shape", "$.timestamp"),
        (encoded({**NOTICE, "userId": "someone"}), "wrong-shape", "$.userId"),
        (encoded({**NOTICE, "reason": "x" * 300_000}), "too-big", ""),
        (b'{"identifierType":"NIN"}', "wrong-shape", "$.identifierValue"),
        (b'{"identifierType":"NIN","identifierValue":"AB123456C"}', "wrong-shape", "$.timestamp"),
        (b"{}", "wrong-shape", "$.identifierType"),
        # Unknown members are passed over, but a time without an offset has all of it read again.
        (
            b'{"x":1e999,' + encoded({**NOTICE, "timestamp": "2026-01-01T00:00:00"})[1:],
            "not-json",
            "",
        ),
    ],
    ids=[
        "text",
        "bytes",
        "deep",
        "empty",
        "list",
        "enum",
        "nul",
        "time",
        "uuid",
        "big",
        "missing",
        "missing time",
        "missing all",
        "number",
    ],
)
async def test_r14_what_cannot_be_read_is_set_aside_with_the_reason(
    replica: KafkaFixture, value: bytes | None, reason: str, place: str
) -> None:
    await publish(replica, Topic.DEATH_NOTIFICATION, (value, [("ce_id", b"9")]))
    (record,) = await replica.read(f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq", 1)
    assert record.value == value
    assert record.key == b"k"
    assert header(record, "ce_id") == "9"
    assert header(record, "dlq_reason") == reason
    assert header(record, "dlq_place") == place
    assert header(record, "dlq_topic") == replica.wire_name(Topic.DEATH_NOTIFICATION)
    assert header(record, "dlq_partition") == "0"
    assert header(record, "dlq_offset") == "0"
    assert await stored(replica) == []


@pytest.mark.parametrize(
    ("key", "header_bytes", "value", "whole"),
    [
        (1_048_400, 0, 8, False),
        (600_000, 0, 8, False),
        (1, 700_000, 8, False),
        (300_000, 300_000, 8, False),
        (1, 1, 1_000_000, False),
        (200_000, 100_000, 200_000, True),
    ],
    ids=["key", "large key", "header", "both", "value", "just fits"],
)
async def test_a2_key_and_headers_count_for_the_copy(
    replica: KafkaFixture,
    key: int,
    header_bytes: int,
    value: int,
    whole: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = replica.wire_name(Topic.DEATH_NOTIFICATION)
    headers = [("h", b"h" * header_bytes)]
    async with replica.external_producer(max_request_size=2_000_000) as producer:
        await producer.send_and_wait(
            name, b"x" * value, partition=0, key=b"k" * key, headers=headers
        )
    await publish(replica, Topic.DEATH_NOTIFICATION, (encoded(NOTICE), []))
    (record,) = await replica.read(f"{name}.dlq", 1)
    reason = "too-big" if value > 256 * 1024 else "not-json"
    assert header(record, "dlq_reason") == reason
    assert header(record, "dlq_offset") == "0"
    assert header(record, "dlq_bytes") == str(value)
    assert record.key == (b"k" * key if whole else None)
    assert record.value == (b"x" * value if whole else None)
    assert header(record, "h") == ("h" * header_bytes if whole else None)
    assert [event["payload"].encode() for event in await stored(replica)] == [encoded(NOTICE)]
    assert replica.kafka._log_producer.rebuild_count == 0
    assert [
        one.levelname for one in caplog.records if one.message == "inbox.record_unreadable"
    ] == ["ERROR"]


async def limit_copies(replica: KafkaFixture, max_bytes: int) -> None:
    """Let the dead-letter topic take records of at most *max_bytes*."""

    def limit() -> None:
        resource = ConfigResource(
            ResourceType.TOPIC,
            f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq",
            incremental_configs=[
                ConfigEntry(
                    "max.message.bytes",
                    str(max_bytes),
                    incremental_operation=AlterConfigOpType.SET,
                )
            ],
        )
        admin = AdminClient({"bootstrap.servers": replica.settings.kafka_bootstrap_servers})
        admin.incremental_alter_configs([resource])[resource].result(10)

    await asyncio.to_thread(limit)
    await wait_until(lambda: refuses_over(replica, max_bytes))


async def refuses_over(replica: KafkaFixture, max_bytes: int) -> bool:
    """Tell whether the broker has heard of a limit of the dead-letter topic."""
    name = f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq"

    def limit() -> str | None:
        resource = ConfigResource(ResourceType.TOPIC, name)
        admin = AdminClient({"bootstrap.servers": replica.settings.kafka_bootstrap_servers})
        entries = admin.describe_configs([resource])[resource].result(10)
        value: str | None = entries["max.message.bytes"].value
        return value

    return await asyncio.to_thread(limit) == str(max_bytes)


@pytest.mark.parametrize("size", [3_000, 100_000, 500_000])
async def test_a2_a_copy_that_its_topic_refuses_leaves_its_reason(
    replica: KafkaFixture, size: int
) -> None:
    await replica.wait_until_healthy()
    await limit_copies(replica, 2_000)
    await publish(
        replica,
        Topic.DEATH_NOTIFICATION,
        (b"x" * size, []),
        (b"y" * size, []),
        (b"small", []),
        (encoded(NOTICE), []),
    )
    records = await replica.read(f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq", 3)
    assert [record.value for record in records] == [None, None, b"small"]
    assert [header(record, "dlq_offset") for record in records] == ["0", "1", "2"]
    assert [event["payload"].encode() for event in await stored(replica)] == [encoded(NOTICE)]
    assert replica.kafka._dead_letter_producer.rebuild_count == 1


@pytest.mark.parametrize("value", [b"not json", None, b"x" * 300_000], ids=["text", "empty", "big"])
async def test_a2_what_cannot_leave_even_its_reason_is_stepped_over(
    replica: KafkaFixture,
    value: bytes | None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbound_records, "SKIP_AFTER_SECONDS", 0.0)
    await replica.wait_until_healthy()
    await limit_copies(replica, 50)
    await publish(replica, Topic.DEATH_NOTIFICATION, (value, []), (encoded(NOTICE), []))
    assert [event["payload"].encode() for event in await stored(replica)] == [encoded(NOTICE)]
    (line,) = [one for one in caplog.records if one.message == "inbox.record_stepped_over"]
    assert (line.levelname, line.partition, line.offset) == ("ERROR", 0, 0)
    labels = {"topic": Topic.DEATH_NOTIFICATION.value, "outcome": "stepped_over"}
    assert replica.registry.get_sample_value("govid_inbox_records_total", labels) == 1


async def test_a2_a_topic_that_refuses_for_a_while_stops_its_partition_only(
    replica: KafkaFixture,
) -> None:
    await replica.wait_until_healthy()
    await limit_copies(replica, 50)
    async with replica.external_producer() as producer:
        await producer.send_and_wait(
            replica.wire_name(Topic.DEATH_NOTIFICATION), b"bad", partition=0
        )
        await producer.send_and_wait(
            replica.wire_name(Topic.DEATH_NOTIFICATION),
            send_marker(Topic.DEATH_NOTIFICATION),
            partition=1,
        )
    await wait_until(lambda: has_seen_marker(replica))
    await wait_until(lambda: replica.holds("inbound_fault", 1))
    assert replica.kafka.inbox.health_state() == "stopped"
    await limit_copies(replica, 1_000_000)
    (record,) = await replica.read(f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq", 1)
    assert record.value == b"bad"
    await wait_until(lambda: replica.holds("inbound_fault", 0))


@pytest.mark.parametrize(
    ("value", "reason", "place"),
    [
        (b"{", "not-json", ""),
        (None, "empty", ""),
        (b"", "empty", ""),
        (b"x" * 900_000, "too-big", ""),
        (encoded({**NOTICE, "timestamp": 7}), "wrong-shape", "$.timestamp"),
        (b'{"identifierValue":"AB123456C"}', "wrong-shape", "$.identifierType"),
    ],
    ids=["text", "null", "empty", "big", "type", "missing"],
)
async def test_a12_an_unreadable_record_is_reported_with_its_place(
    replica: KafkaFixture,
    value: bytes | None,
    reason: str,
    place: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await publish(replica, Topic.DEATH_NOTIFICATION, (value, []))
    (line,) = [one for one in caplog.records if one.message == "inbox.record_unreadable"]
    assert line.levelname == "ERROR"
    assert (line.topic, line.partition, line.offset, line.reason, line.place) == (
        replica.wire_name(Topic.DEATH_NOTIFICATION), 0, 0, reason, place,
    )  # fmt: skip
    assert "AB123456C" not in str(vars(line))
    labels = {"topic": Topic.DEATH_NOTIFICATION.value, "outcome": "unreadable"}
    assert replica.registry.get_sample_value("govid_inbox_records_total", labels) == 1


async def publish_untakeable(replica: KafkaFixture) -> None:
    """Write a record with a header whose name is no text, which aiokafka cannot read."""
    async with replica.external_producer() as producer:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=encoded(NOTICE), headers=[("~~", b"1")])
        batch.close()
        data = bytearray(batch._build().replace(b"~~", b"\xff\xfe"))
        data[17:21] = calc_crc32c(data[21:]).to_bytes(4)
        batch._buffer = data
        topic = replica.wire_name(Topic.DEATH_NOTIFICATION)
        await (await producer.send_batch(batch, topic, partition=0))


async def test_a6_a_header_whose_name_is_no_text_does_not_void_its_record(
    replica: KafkaFixture,
) -> None:
    await publish(replica, Topic.DEATH_NOTIFICATION, (encoded({**NOTICE, "reason": "before"}), []))
    await publish_untakeable(replica)
    behind = encoded({**NOTICE, "reason": "behind it"})
    async with replica.external_producer() as producer:
        await producer.send_and_wait(
            replica.wire_name(Topic.DEATH_NOTIFICATION), behind, partition=0
        )
    await wait_until(lambda: has_come_in(replica, "behind it"))
    reasons = [msgspec.json.decode(event["payload"])["reason"] for event in await stored(replica)]
    assert reasons == ["before", "registered", "behind it"]


async def has_come_in(replica: KafkaFixture, reason: str) -> bool:
    return await replica.count("event", f"payload->>'reason' = '{reason}'") == 1


async def test_r14_what_the_database_refuses_is_set_aside_alone(replica: KafkaFixture) -> None:
    await replica.database.reads.execute(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'invalid_text_representation'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON bus.event FOR EACH ROW
        WHEN (new.payload::text LIKE '%poison%') EXECUTE FUNCTION refuse()
        """
    )
    good = encoded(NOTICE)
    await publish(
        replica,
        Topic.DEATH_NOTIFICATION,
        (good, []),
        (encoded({**NOTICE, "reason": "poison"}), []),
        (good, []),
    )
    (record,) = await replica.read(f"{replica.wire_name(Topic.DEATH_NOTIFICATION)}.dlq", 1)
    assert header(record, "dlq_reason") == "not-storable"
    assert [event["payload"].encode() for event in await stored(replica)] == [good, good]


async def has_caught_up(replica: KafkaFixture, topic: Topic, records: int) -> bool:
    """Tell whether the inbox has committed the offsets of *records* of *topic*."""
    admin = AIOKafkaAdminClient(bootstrap_servers=replica.settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(
            f"{replica.settings.kafka_client_id}.inbox"
        )
    finally:
        await admin.close()
    name = replica.wire_name(topic)
    return sum(o.offset for tp, o in offsets.items() if tp.topic == name) >= records
