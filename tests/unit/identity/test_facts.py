"""What citizens say of themselves, in one form."""

from datetime import date
from typing import Any

import pytest

from govid.bus import Invalid
from govid.bus.contracts.facts import ClaimedFacts
from govid.identity.facts import claimed
from govid.identity.schemas import Verify

TODAY = date(2026, 1, 5)
PLAIN: dict[str, Any] = {
    "given_name": "Zoë Mae",
    "family_name": "O'Brien-Smith",
    "date_of_birth": date(1990, 9, 9),
}


def read(**changes: Any) -> ClaimedFacts | None:
    return claimed(Verify(**{**PLAIN, **changes}), lambda: TODAY)


def faults(**changes: Any) -> list[tuple[object, str]]:
    with pytest.raises(Invalid) as refusal:
        read(**changes)
    return [(fault.loc[-1], fault.type) for fault in refusal.value.faults]


def test_names_are_composed_and_spaced_once() -> None:
    facts = read(given_name="  Zoe\N{COMBINING DIAERESIS}   Mae ", postcode=" ls16ae")
    assert facts == ClaimedFacts(**PLAIN, postcode="LS1 6AE")


def test_who_says_nothing_says_nothing() -> None:
    assert read(given_name=None, family_name=None, date_of_birth=None) is None


def test_a_part_needs_the_rest() -> None:
    assert faults(given_name=None, family_name=None) == [
        ("givenName", "missing"),
        ("familyName", "missing"),
    ]


def test_a_postcode_alone_is_not_enough() -> None:
    nothing = {"given_name": None, "family_name": None, "date_of_birth": None}
    assert faults(**nothing, postcode="LS1 6AE") == [
        ("givenName", "missing"),
        ("familyName", "missing"),
        ("dateOfBirth", "missing"),
    ]


@pytest.mark.parametrize("text", ["", " ", "123", "A\x00B", "A\u202eB", "\ud800", "-'"])
def test_what_is_in_no_name_is_refused(text: str) -> None:
    assert faults(family_name=text) == [("familyName", "name_format")]


@pytest.mark.parametrize(
    ("day", "kind"),
    [(date(2026, 1, 6), "date_in_future"), (date(1895, 12, 31), "date_too_old")],
)
def test_nobody_is_born_then(day: date, kind: str) -> None:
    assert faults(date_of_birth=day) == [("dateOfBirth", kind)]


@pytest.mark.parametrize("day", [date(2026, 1, 5), date(1896, 1, 1)])
def test_somebody_may_be_born_then(day: date) -> None:
    assert read(date_of_birth=day) is not None


@pytest.mark.parametrize("text", ["", "LS1", "LS1 6A", "L\N{LATIN SMALL LETTER DOTLESS I}1 6AE"])
def test_what_is_no_postcode_is_refused(text: str) -> None:
    assert faults(postcode=text) == [("postcode", "postcode_format")]


@pytest.mark.parametrize("text", ["M1 1AA", "EC1A 1BB", "DN18 5DW", "GIR 0AA", "w1a0ax"])
def test_postcodes_of_every_form_pass(text: str) -> None:
    assert read(postcode=text) is not None
