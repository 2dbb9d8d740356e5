"""Times as people write them."""

from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from govid.gateway.cli.selectors import MOMENT, selection

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
    assert selection(**NOTHING).is_empty
    assert not selection(**{**NOTHING, "topic": "identity.verification.request"}).is_empty
