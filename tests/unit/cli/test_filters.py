"""Times as people write them."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import click
import pytest

from govid.bus.shared.ids import first_uuid7_at
from govid.gateway.cli.filters import MOMENT, build_filter

NOTHING = {
    "ids": (), "key": None, "type_": None, "topic": None, "subscriber": None, "since": None,
    "until": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00+01:00", datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_a_time_without_an_offset_is_utc(text: str, moment: datetime) -> None:
    assert MOMENT.convert(text, None, None) == moment


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
    ],
)
def test_an_age_counts_from_now(text: str, age: timedelta) -> None:
    before = datetime.now(UTC)
    moment = MOMENT.convert(text, None, None)
    assert before - age <= moment <= datetime.now(UTC) - age


@pytest.mark.parametrize("text", ["", "soon", "m", "-5m", "1y", "99999999999d", "2026-13-01"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        MOMENT.convert(text, None, None)


def test_no_selector_selects_nothing_in_particular() -> None:
    assert build_filter(**NOTHING).is_empty
    assert not build_filter(**{**NOTHING, "topic": "identity.verification.request"}).is_empty


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "1969-12-31", "9999999d"])
def test_f10_what_is_older_than_all_events_is_where_they_begin(text: str) -> None:
    moment = MOMENT.convert(text, None, None)
    assert moment == datetime(1970, 1, 1, tzinfo=UTC)
    assert first_uuid7_at(moment) == UUID("00000000-0000-7000-8000-000000000000")


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "9999-06-01", "9998-12-31T00:00:01"])
def test_f10_a_time_at_the_end_of_the_calendar_can_be_computed_with(text: str) -> None:
    assert MOMENT.convert(text, None, None).astimezone(timezone(timedelta(hours=14))).year >= 9998
