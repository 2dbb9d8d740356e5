"""Local times of requests."""

import pytest

from govid.nhs.slots import parse_time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-02T09:00:00Z", "2026-03-02T09:00:00+00:00"),
        ("2026-03-02t09:00:00z", "2026-03-02T09:00:00+00:00"),
        ("2026-07-01T09:00:00+01:00", "2026-07-01T08:00:00+00:00"),
        ("2026-07-01T09:00:00-0530", "2026-07-01T14:30:00+00:00"),
        ("2026-03-02T09:00:00.123Z", "2026-03-02T09:00:00.123000+00:00"),
        ("2026-03-02T09:00:00.1234567Z", "2026-03-02T09:00:00.123456+00:00"),
    ],
)
def test_a_time_with_an_offset_is_taken_as_it_is(text: str, moment: str) -> None:
    assert parse_time(text).isoformat() == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-15T09:00:00", "2026-01-15T09:00:00+00:00"),
        ("2026-07-15T09:00:00", "2026-07-15T08:00:00+00:00"),
        ("2026-07-15 09:00", "2026-07-15T08:00:00+00:00"),
        ("2026-03-29T00:59:59", "2026-03-29T00:59:59+00:00"),
        ("2026-03-29T02:00:00", "2026-03-29T01:00:00+00:00"),
        ("2026-10-25T00:59:59", "2026-10-24T23:59:59+00:00"),
        ("2026-10-25T02:00:00", "2026-10-25T02:00:00+00:00"),
    ],
)
def test_a_time_without_an_offset_is_london_time(text: str, moment: str) -> None:
    assert parse_time(text).isoformat() == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-25T01:30:00+01:00", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25T01:30:00+00:00", "2026-10-25T01:30:00+00:00"),
    ],
)
def test_an_offset_tells_two_equal_times_apart(text: str, moment: str) -> None:
    assert parse_time(text).isoformat() == moment


@pytest.mark.parametrize("text", ["2026-03-29T01:00:00", "2026-03-29T01:59:59.999999"])
def test_a_time_that_was_skipped_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="there is no such time in the UK"):
        parse_time(text)


@pytest.mark.parametrize("text", ["2026-10-25T01:00:00", "2026-10-25T01:59:59.999999"])
def test_a_time_that_comes_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="this time comes twice"):
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "tomorrow", "2026-03-02", "09:00", "2026-03-02T09", "20260302T0900", "1767625200"),
        *("2026-W10-1T09:00", "2026-03-02x09:00", "2026-03-02T09:00:00+1", "2026-03-02T09:00\n"),
        *("٢٠٢٦-03-02T09:00", " 2026-03-02T09:00", "12026-03-02T09:00", "-2026-03-02T09:00"),
    ],
)
def test_what_is_no_date_and_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a date and a time"):
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30T09:00:00",
        "2026-13-01T09:00:00",
        "2026-03-02T24:00:00",
        "2026-03-02T09:60:00",
        "2026-03-02T09:00:60",
        "2026-03-02T09:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_a_time_that_no_calendar_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="there is no such date or time"):
        parse_time(text)
