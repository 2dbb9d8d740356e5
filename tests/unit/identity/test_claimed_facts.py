"""Claimed facts in canonical form."""

from datetime import date
from typing import Any

import pytest

from govid.bus import InvalidRequest
from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import ClaimedFacts
from govid.identity.schemas import Verify
from govid.identity.validation import validate_claimed_facts

TODAY = date(2026, 1, 5)
PLAIN: dict[str, Any] = {
    "given_name": "Zoë Mae",
    "family_name": "O'Brien-Smith",
    "date_of_birth": date(1990, 9, 9),
}


def read(**changes: Any) -> ClaimedFacts | None:
    return validate_claimed_facts(Verify(**{**PLAIN, **changes}), lambda: TODAY)


def to_hmrc(**changes: Any) -> ClaimedFacts | None:
    request = Verify(**{**PLAIN, **changes})
    return validate_claimed_facts(request, lambda: TODAY, identifier_type=IdentifierType.NIN)


def faults(**changes: Any) -> list[tuple[object, str]]:
    with pytest.raises(InvalidRequest) as refusal:
        read(**changes)
    return [(fault.loc[-1], fault.type) for fault in refusal.value.field_problems]


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
def test_no_one_is_born_then(day: date, kind: str) -> None:
    assert faults(date_of_birth=day) == [("dateOfBirth", kind)]


@pytest.mark.parametrize("day", [date(2026, 1, 5), date(1896, 1, 1)])
def test_a_person_may_be_born_then(day: date) -> None:
    assert read(date_of_birth=day) is not None


@pytest.mark.parametrize("text", ["", "LS1", "LS1 6A", "L\N{LATIN SMALL LETTER DOTLESS I}1 6AE"])
def test_what_is_no_postcode_is_refused(text: str) -> None:
    assert faults(postcode=text) == [("postcode", "postcode_format")]


@pytest.mark.parametrize("text", ["M1 1AA", "EC1A 1BB", "DN18 5DW", "GIR 0AA", "w1a0ax"])
def test_postcodes_of_every_form_pass(text: str) -> None:
    assert read(postcode=text) is not None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"given_name": "Юрий"}, "givenName"),
        ({"given_name": "李 Wei"}, "givenName"),
        ({"family_name": "Παπαδόπουλος"}, "familyName"),
        ({"family_name": "x" * 36}, "familyName"),
        ({"family_name": "Smith 2"}, "familyName"),
        ({"family_name": "ß" * 18}, "familyName"),
    ],
)
def test_b2_a_name_that_hmrc_cannot_carry_is_refused_on_its_field(
    changes: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        to_hmrc(**changes)
    assert [(fault.loc[-1], fault.type) for fault in refusal.value.field_problems] == [
        (field, "name_not_sendable")
    ]
    assert read(**changes) is not None


@pytest.mark.parametrize("name", ["Łukasz Юрий", "Þórsson", "St. John", "Hawaiʻi"])
def test_b2_a_name_that_hmrc_can_carry_is_kept_as_it_was_written(name: str) -> None:
    facts = to_hmrc(given_name=name)
    assert facts is not None
    assert facts.given_name == name


@pytest.mark.parametrize("name", ["علی\u200cرضا", "അഖില്\u200d", "क्\u200dष", "അഖിൽ\u200d നായർ"])
def test_b4_joiners_of_joining_scripts_are_part_of_a_name(name: str) -> None:
    facts = read(family_name=name)
    assert facts is not None
    assert facts.family_name == name


@pytest.mark.parametrize(
    "text", ["A\u200cB", "\u200dഅ", "O\u200dBrien", "علی\u200c\u202eرضا", "李\u200d"]
)
def test_b4_joiners_elsewhere_are_in_no_name(text: str) -> None:
    assert faults(family_name=text) == [("familyName", "name_format")]


@pytest.mark.parametrize("family", ["Suharto", "Sukarno", "സുനിൽ"])
def test_b5_someone_may_have_one_name(family: str) -> None:
    facts = read(given_name=None, family_name=family)
    assert facts is not None
    assert (facts.given_name, facts.family_name) == (None, family)


def test_b5_hmrc_needs_two_names() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        to_hmrc(given_name=None)
    (fault,) = refusal.value.field_problems
    assert (fault.loc[-1], fault.type) == ("givenName", "missing")
    assert fault.msg == "is needed: HMRC's form has a given name and a family name"


@pytest.mark.parametrize("bad", ["\n", "\t", "\x1b", "\u2028", "\u202e", "\x85", "\u200e"])
@pytest.mark.parametrize("place", ["A{}B", "{}A", "A{}"])
def test_e11_a_name_is_one_line_without_controls(bad: str, place: str) -> None:
    assert faults(given_name=place.format(bad)) == [("givenName", "name_format")]


@pytest.mark.parametrize(
    "pasted", ["\u00a0", "-", "\u2011", "\u2013", "\u202c", "\u200e", "\u2069"]
)
def test_b6_what_is_pasted_into_a_postcode_is_dropped(pasted: str) -> None:
    facts = read(postcode=f"{pasted}ls1{pasted}6ae{pasted}")
    assert facts is not None
    assert facts.postcode == "LS1 6AE"
