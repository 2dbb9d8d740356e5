"""When two names are the same, and how HMRC's form takes them."""

import unicodedata
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govid.bus.shared.names import (
    HMRC_NAME_MAX,
    have_same_prefix,
    hmrc_spellings,
    is_joiner,
    is_same_given_name,
    is_same_name,
    name_spellings,
)

LATIN = chain(
    range(0x00C0, 0x0250), range(0x1E00, 0x1F00), range(0x2C60, 0x2C80), range(0xA720, 0xA800)
)
NEIGHBOURS = chain(
    (0x00AA, 0x00BA), range(0x0250, 0x02B0), range(0xFB00, 0xFB07), range(0xFF21, 0xFF5B)
)
LETTERS = [letter for letter in map(chr, chain(LATIN, NEIGHBOURS)) if letter.isalpha()]


def written_in_every_way(letter: str) -> list[str]:
    return [
        *(letter, letter.upper(), letter.lower(), letter.swapcase()),
        *(unicodedata.normalize(form, letter) for form in ("NFC", "NFD", "NFKC", "NFKD")),
    ]


def test_b2_every_latin_letter_folds_to_a_to_z_in_every_way_of_writing_it() -> None:
    assert len(LETTERS) > 900
    forms = {letter: set(map(name_spellings, written_in_every_way(letter))) for letter in LETTERS}
    assert [
        letter
        for letter, found in forms.items()
        if len(found) != 1
        or not all(form.isascii() and form.isalpha() and form.islower() for form in min(found))
    ] == []


def test_b2_every_latin_letter_can_be_sent_to_hmrc_and_means_the_same_there() -> None:
    assert [
        letter
        for letter in LETTERS
        if [name_spellings(form) for form in hmrc_spellings(letter)]
        != [(form,) for form in name_spellings(letter)]
    ] == []


@pytest.mark.parametrize(
    ("record", "claim"),
    [
        ("Lukasz", "Łukasz"),
        ("Oyvind", "Øyvind"),
        ("Thorsson", "Þórsson"),
        ("Aelfric", "Ælfric"),
        ("Dang", "Đặng"),
        ("St John", "St. John"),
        ("Hawaii", "Hawaiʻi"),
        ("MUELLER", "Müller"),
        ("MULLER", "Müller"),
        ("Goering", "Göring"),
        ("Haakon", "Håkon"),
        ("Joergensen", "Jørgensen"),
        ("Baer", "Bär"),
        ("Strauss", "Strauß"),
        ("Aliyev", "Əliyev"),
        ("Ilker", "İlker"),
        ("O'Brien-Smith", "O’BRIEN SMITH"),
        ("Ｓｍｉｔｈ", "Smith"),
        ("Юрий", "ЮРИЙ"),
        ("محمد", "مُحَمَّد"),
        ("Ελένη", "ΕΛΕΝΗ"),
        ("علیرضا", "علی\u200cرضا"),
    ],
)
def test_b2_the_same_name_is_the_same_in_both_directions(record: str, claim: str) -> None:
    assert is_same_name(record, claim)
    assert is_same_name(claim, record)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mueller", "Muller"),
        ("Joel", "Jol"),
        ("Smith", "Smyth"),
        ("Юрий", "Юрии"),
        ("कि", "कु"),
        ("李", "Li"),
        ("", ""),
        ("-", "'"),
    ],
)
def test_b2_what_differs_in_its_letters_is_another_name(one: str, other: str) -> None:
    assert not is_same_name(one, other)
    assert not is_same_name(other, one)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("St. John", ("St John",)),
        ("A.P.J. Abdul", ("A P J Abdul",)),
        ("Hawaiʻi", ("Hawai'i",)),
        ("Þórsson", ("Thorsson",)),
        ("Ælfric", ("Aelfric",)),
        ("Đặng", ("Dang",)),
        ("Müller-Göring", ("Muller-Goring", "Mueller-Goering")),
        ("Gal·la", ("Galla",)),
        ("ü" * 35, ("u" * 35,)),
    ],
)
def test_b2_hmrc_gets_its_own_letters_in_each_transcription(
    name: str, sent: tuple[str, ...]
) -> None:
    assert hmrc_spellings(name) == sent


@pytest.mark.parametrize("name", ["Юрий", "李", "Jim2", "x" * 36, "ß" * 18, "-'", "J\nim", ""])
def test_b2_what_the_form_cannot_carry_is_refused_without_being_quoted(name: str) -> None:
    with pytest.raises(ValueError, match=r"^a name that HMRC's form cannot carry$"):
        hmrc_spellings(name)


@given(st.text(st.sampled_from([*LETTERS, *"abcXYZ '’-.ʻ·"]), max_size=HMRC_NAME_MAX))
def test_b2_what_is_sent_is_compared_like_what_was_said(name: str) -> None:
    try:
        sent = hmrc_spellings(name)
    except ValueError:
        return
    assert set(map(name_spellings, sent)) <= {(form,) for form in name_spellings(name)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anne-Marie", "Anne Marie"),
        ("Anne-Marie", "ANNE"),
        ("Annemarie", "Anne-Marie"),
        ("A.P.J.", "A P J"),
        ("J. R.", "J-R"),
        ("Jean‐Luc", "Jean Luc"),
        ("Jörg", "Joerg Maria"),
        ("Mary.Jane", "mary jane"),
    ],
)
def test_b3_a_hyphen_a_space_and_a_full_stop_end_a_word(one: str, other: str) -> None:
    assert is_same_given_name(one, other)
    assert is_same_given_name(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jean-Pierre", "Jean-Paul"),
        ("Anne-Marie", "Marie"),
        ("A.P.J.", "P A J"),
        ("Bill", "William"),
        ("", ""),
        (".", "-"),
    ],
)
def test_b3_other_words_are_another_name(one: str, other: str) -> None:
    assert not is_same_given_name(one, other)
    assert not is_same_given_name(other, one)


@pytest.mark.parametrize(
    ("name", "place", "belongs"),
    [
        ("علی\u200cرضا", 3, True),
        ("അഖില്\u200d", 5, True),
        ("क\u200dष अ", 1, True),
        ("A\u200dB", 1, False),
        ("\u200dअ", 0, False),
        ("अ\u200dB", 1, False),
        ("A\u202eB", 1, False),
        ("अB", 0, False),
    ],
)
def test_b4_a_joiner_belongs_between_letters_of_joining_scripts(
    name: str, place: int, belongs: bool
) -> None:
    assert is_joiner(name, place) is belongs


@pytest.mark.parametrize(
    ("one", "other", "letters", "same"),
    [
        ("Ferguson", "FERN", 3, True),
        ("Ferguson", "Fell", 3, False),
        ("Öz", "Oezil", 2, True),
        ("'Amanda", "A", 1, True),
    ],
)
def test_beginnings_are_compared_after_folding(
    one: str, other: str, letters: int, same: bool
) -> None:
    assert have_same_prefix(one, other, letters) is same
