"""Version 7 UUIDs as RFC 9562 has them."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from govid.bus.shared.ids import first_uuid7_at, uuid7, uuid7_timestamp

MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def test_version_and_variant_are_the_standards() -> None:
    identifier = uuid7()
    assert identifier.version == 7
    assert identifier.variant == "specified in RFC 4122"


def test_it_tells_when_it_was_made() -> None:
    before = datetime.now(UTC)
    made = uuid7_timestamp(uuid7())
    # The id knows milliseconds, the clock microseconds.
    assert before - timedelta(milliseconds=1) <= made <= datetime.now(UTC)


@given(MOMENTS)
@example(datetime(2038, 2, 1, microsecond=9_000, tzinfo=UTC))
def test_a_boundary_is_the_first_of_its_millisecond(moment: datetime) -> None:
    boundary = first_uuid7_at(moment)
    assert uuid7_timestamp(boundary) == moment.replace(
        microsecond=moment.microsecond // 1000 * 1000
    )
    assert boundary.version == 7


@given(MOMENTS, MOMENTS)
def test_boundaries_sort_like_their_moments(one: datetime, other: datetime) -> None:
    earlier, later = sorted([one, other])
    assert first_uuid7_at(earlier) <= first_uuid7_at(later)


def test_two_of_one_millisecond_differ() -> None:
    assert len({uuid7() for _ in range(1000)}) == 1000
