"""Names as HMRC takes them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govid.bus.contracts.facts import ClaimedFacts
from govid.hmrc.registry.matcher import described, written


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("José", "Jose"),
        ("Zoë", "Zoe"),
        ("O’Neill", "O'Neill"),
        ("D‘Arcy", "D'Arcy"),
        ("Smith–Jones", "Smith-Jones"),
        ("Smith‑Jones", "Smith-Jones"),
        ("Strauß", "Strauss"),
        ("Ægir", "AEgir"),
        ("Løvborg", "Lovborg"),
        ("Łukasz", "Lukasz"),
        ("Þórr", "Thorr"),
        ("Ｊｉｍ", "Jim"),
        ("Siobhán Ní Bhriain", "Siobhan Ni Bhriain"),
        ("x" * 35, "x" * 35),
    ],
)
def test_marks_are_dropped_and_letters_spelt_out(name: str, plain: str) -> None:
    assert written(name) == plain


@pytest.mark.parametrize("name", ["", "Юрий", "李", "Jim2", "Jim.", "x" * 36, "ß" * 18, "J\nim"])
def test_what_cannot_be_written_is_refused_without_being_quoted(name: str) -> None:
    with pytest.raises(ValueError, match=r"^a name that HMRC cannot write$"):
        written(name)


@given(st.from_regex(r"[a-zA-Z `\-'^]{1,35}", fullmatch=True))
def test_what_hmrc_takes_is_left_as_it_is(name: str) -> None:
    assert written(name) == name


def test_the_first_given_name_is_asked_about_and_every_family_name() -> None:
    facts = ClaimedFacts(
        given_name=" Maria Isabel ",
        family_name="García  Lorca",
        date_of_birth=date(1979, 12, 31),
    )
    person = described(facts, "WW000002B")
    assert person.body == (
        b'{"firstName":"Maria","lastName":"Garcia Lorca",'
        b'"dateOfBirth":"1979-12-31","nino":"WW000002B"}'
    )
    assert repr(person) == "<Person>"
