"""What passes is shown whatever its producer wrote: in one line, and with a time."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from govid.bus.kafka.topic_tail import TailRecord
from govid.gateway.cli.events import NO_TIME, ObservedEvent, _read_time

STORED = datetime(2026, 1, 31, 12, tzinfo=UTC)
CLEAR = "\x1b[2J"


def record(*, timestamp: int = 1_769_860_800_000, **headers: str) -> TailRecord:
    """Return a record of 2026-01-31T12:00Z."""
    return TailRecord(
        topic="t", partition=0, offset=0, timestamp=timestamp, key=None, headers=headers, value=b""
    )


@pytest.mark.parametrize(
    "shown_time",
    [
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00+23:00",
        "no time",
        "",
    ],
)
def test_e11_a_time_that_no_clock_shows_is_that_of_the_topic(shown_time: str) -> None:
    assert _read_time(record(ce_time=shown_time), None) == STORED
    assert _read_time(record(), {"timestamp": shown_time}) == STORED


@pytest.mark.parametrize("timestamp", [-(2**63), 2**63 - 1, 253_402_300_799_999])
def test_e11_a_record_without_any_time_of_a_calendar_is_shown(timestamp: int) -> None:
    assert _read_time(record(timestamp=timestamp), None) == NO_TIME


@pytest.mark.parametrize("member", ["type", "key", "payload"])
@pytest.mark.parametrize("text", [CLEAR, "a\nb", "\u202e", "\x9b2J"])
def test_e11_a_line_stays_a_line(member: str, text: str) -> None:
    members: dict[str, Any] = {"type": "t", "key": "k", "payload": {}}
    payload = {text: text} if member == "payload" else text
    passed = ObservedEvent(
        topic="t", id=None, time=STORED, position="0/0", **{**members, member: payload}
    )
    assert passed.format_line().isprintable()
    assert msgspec.json.decode(msgspec.json.encode(passed), type=ObservedEvent) == passed
