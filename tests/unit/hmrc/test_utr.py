"""Unique taxpayer references: form and check digit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govid.hmrc import utr


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1000057161", "1000057161"),
        ("8000083480", "8000083480"),
        ("4000082459", "4000082459"),
        ("2234567890", "2234567890"),
        ("1123456789", "1123456789"),
        ("5555555555", "5555555555"),
        ("1111111111", "1111111111"),
        ("10000 57161", "1000057161"),
        ("1000057161K", "1000057161"),
        ("k1000057161", "1000057161"),
    ],
)
def test_a_reference_becomes_ten_digits(text: str, canonical: str) -> None:
    assert utr.normalise(text) == canonical


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "ten digits"),
        ("100005716", "ten digits"),
        ("10000571611", "ten digits"),
        ("K1000057161K", "ten digits"),
        ("1000057161\n", "ten digits"),
        ("１０００057161", "ten digits"),
        ("1234567890", "check digit"),
        ("2000057161", "check digit"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        utr.normalise(text)


@given(st.text("0123456789", min_size=9, max_size=9))
def test_exactly_one_first_digit_fits_the_other_nine(rest: str) -> None:
    fitting = [digit for digit in "0123456789" if _is_reference(f"{digit}{rest}")]
    assert len(fitting) == 1


def _is_reference(text: str) -> bool:
    try:
        return utr.normalise(text) == text
    except ValueError:
        return False
