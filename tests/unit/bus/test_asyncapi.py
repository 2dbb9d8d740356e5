"""The description of the topics is whole, and the committed one is fresh."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from govid.bus.asyncapi import (
    DEAD_LETTER_HEADERS,
    HEADERS,
    REQUIRED_HEADERS,
    build_document,
    render_document,
)
from govid.bus.events import Topic
from govid.bus.kafka import cloudevents
from govid.bus.kafka.inbound_records import DeadLetterPublisher
from tests.contracts import golden
from tests.contracts.golden import AT, kinds

COMMITTED = Path(__file__).parents[3] / "docs/asyncapi.json"
DOCUMENT = build_document()
PUBLISHED = {f"{kind.name}.v{kind.version}": kind for kind in kinds() if kind.topic is not None}


def test_the_committed_description_is_fresh() -> None:
    # After a change: govid asyncapi --out docs/asyncapi.json
    assert COMMITTED.read_bytes() == render_document()


def test_every_topic_is_described_and_the_dead_letters_too() -> None:
    assert DOCUMENT["channels"].keys() == {topic.value for topic in Topic} | {
        "identity.verification.result.dlq",
        "hmrc.death.notification.dlq",
    }


def test_govid_sends_to_all_and_receives_of_two() -> None:
    assert DOCUMENT["operations"].keys() == {f"send.{topic.value}" for topic in Topic} | {
        "receive.identity.verification.result",
        "receive.hmrc.death.notification",
    }


@pytest.mark.parametrize("topic", Topic)
def test_a_topic_carries_its_kinds_of_records(topic: Topic) -> None:
    channel = DOCUMENT["channels"][topic.value]
    assert channel["address"] == topic.value
    expected = {name for name, kind in PUBLISHED.items() if kind.topic is topic}
    assert channel["messages"].keys() == expected
    assert len(DOCUMENT["operations"][f"send.{topic.value}"]["messages"]) == len(expected)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_payload_is_the_contracts(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    schema = DOCUMENT["components"]["schemas"][message["payload"]["$ref"].rsplit("/", 1)[1]]
    shape = golden.read(PUBLISHED[name])["shape"]
    assert schema["properties"].keys() == shape["properties"].keys()
    assert sorted(schema["required"]) == shape["required"]
    assert schema["properties"]["timestamp"]["format"] == "date-time"


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_key_is_described_where_there_is_one(name: str) -> None:
    key = DOCUMENT["components"]["messages"][name]["bindings"]["kafka"]["key"]
    record = golden.read(PUBLISHED[name])["record"]
    assert (record["key"] is None) <= ("null" in key["type"])
    assert (record["key"] is not None) <= ("string" in key["type"])


def headers(**more: Any) -> list[str]:
    found = cloudevents.build_headers(
        event_id=UUID(int=1),
        type_name="a.b",
        version=1,
        occurred_at=AT,
        correlation_id="c-1",
        **more,
    )
    return [name for name, _ in found]


def test_the_headers_that_every_record_has_are_required() -> None:
    assert headers() == list(REQUIRED_HEADERS)
    assert DOCUMENT["components"]["schemas"]["RecordHeaders"]["required"] == list(REQUIRED_HEADERS)


def test_every_header_is_described() -> None:
    most = headers(
        subject="s",
        sequence=1,
        causation_id=UUID(int=2),
        traceparent="00-1-1-00",
        replay_id=UUID(int=3),
        installation="00000000000000ff",
    )
    assert most == list(HEADERS)


def test_the_headers_of_dead_letters_are_described() -> None:
    source = Path(DeadLetterPublisher.publish.__code__.co_filename).read_text("utf-8")
    assert set(re.findall(r'"(dlq_\w+)"', source)) == DEAD_LETTER_HEADERS.keys()


def test_every_reference_leads_somewhere() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    references = set(re.findall(r'"\$ref":"#/([^"]+)"', text))
    assert [one for one in references if not leads_somewhere(one.split("/"))] == []


def leads_somewhere(steps: list[str]) -> bool:
    place: Any = DOCUMENT
    for step in steps:
        place = place.get(step, {})
    return bool(place)
