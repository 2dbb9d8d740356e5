"""CloudEvents headers are encoded and decoded; a key has its partition."""

from typing import Any
from uuid import UUID

import pytest

from govid.bus.kafka import cloudevents


@pytest.mark.parametrize(
    ("key", "partition"),
    # Computed by org.apache.kafka.common.utils.Utils.murmur2 of kafka-clients 4.2.0.
    [("21", 0), ("foobar", 2), ("a-little-bit-long-string", 0), ("abc", 3)],
)
def test_a_key_has_the_partition_that_kafkas_java_client_gives_it(key: str, partition: int) -> None:
    assert cloudevents.partition_for(key, 4) == partition


@pytest.mark.parametrize(
    ("raw", "name", "version"),
    [
        (b"hmrc.death.notified.v1", "hmrc.death.notified", 1),
        (b"hmrc.death.notified.v12", "hmrc.death.notified", 12),
        (b"hmrc.death.notified", "hmrc.death.notified", 1),
        (b"hmrc.death.notified.v0", "hmrc.death.notified.v0", 1),
        (b"a.v99999999999", "a.v99999999999", 1),
    ],
)
def test_a_type_carries_its_version(raw: bytes, name: str, version: int) -> None:
    found = cloudevents.parse_attributes([("ce_type", raw)])
    assert (found.type_name, found.version) == (name, version)


def test_a_record_without_headers_says_nothing() -> None:
    found = cloudevents.parse_attributes([])
    assert (found.event_id, found.source, found.type_name) == (None, "", None)
    assert (found.correlation_id, found.traceparent, found.own_event_id) == (None, None, None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("ce_id", b"a"), ("id", b"b")], b"a"),
        ([("ce-id", b"a")], b"a"),
        ([("ID", b"a")], b"a"),
        ([("ce_id", b"")], None),
        ([("ce_id", None)], None),
        ([("ce_id", b"a"), ("ce_id", b"b")], b"b"),
    ],
)
def test_an_id_is_found_under_its_names(headers: Any, expected: bytes | None) -> None:
    assert cloudevents.parse_attributes(headers).event_id == expected


def test_only_the_canonical_form_of_a_uuid_can_be_ours() -> None:
    ours = "019d0000-0000-7000-8000-00000000000a"
    assert cloudevents.parse_attributes([("ce_id", ours.encode())]).own_event_id == UUID(ours)
    assert cloudevents.parse_attributes([("ce_id", ours.upper().encode())]).own_event_id is None
    assert (
        cloudevents.parse_attributes([("ce_id", f"urn:uuid:{ours}".encode())]).own_event_id is None
    )


@pytest.mark.parametrize("raw", [b"two\nlines", b"\xff", b"x" * 129, b"with space"])
def test_a_correlation_id_that_could_harm_a_log_is_ignored(raw: bytes) -> None:
    assert cloudevents.parse_attributes([("correlation_id", raw)]).correlation_id is None


def test_text_of_keeps_what_a_database_can_hold() -> None:
    assert cloudevents.decode_escaped(b"a\xff\x00b") == r"a\xff\x00b"
