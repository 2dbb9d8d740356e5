"""Identifiers: one canonical form, whatever way they are written."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nhs_number.validate import calculate_checksum

from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import (
    identity_key,
    normalise_identifier,
    normalise_utr,
    parse_identity_key,
)

NIN, NHS = IdentifierType.NIN, IdentifierType.NHS
DIGITS = "0123456789"
REFUSALS = {
    "use only the letters A to Z, digits, spaces and hyphens",
    "a National Insurance number is two letters, six digits and a letter A to D",
    "no National Insurance number begins with these two letters",
    "an NHS number is ten digits, with spaces as in 943 476 5919",
    "an NHS number is not one digit ten times",
    "the check digit does not fit the rest of this NHS number",
}
NEVER_ISSUED = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}

prefixes = st.tuples(
    st.sampled_from("ABCEGHJKLMNOPRSTWXYZ"), st.sampled_from("ABCEGHJKLMNPRSTWXYZ")
).map("".join)
ninos = st.tuples(
    prefixes.filter(lambda prefix: prefix not in NEVER_ISSUED),
    st.text(DIGITS, min_size=6, max_size=6),
    st.sampled_from("ABCD"),
).map("".join)
nhs_numbers = (
    st.text(DIGITS, min_size=9, max_size=9)
    .filter(lambda nine: calculate_checksum(nine) < 10)
    .map(lambda nine: f"{nine}{calculate_checksum(nine)}")
    .filter(lambda number: len(set(number)) > 1)
)


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [
        (NIN, "AB123456C", "AB123456C"),
        (NIN, "ab 12 34 56 c", "AB123456C"),
        (NIN, " AA000003D ", "AA000003D"),
        (NIN, "NA000799C", "NA000799C"),
        (NHS, "9434765919", "9434765919"),
        (NHS, "943 476 5919", "9434765919"),
        (NHS, " 943-476-5919 ", "9434765919"),
        (NHS, "9000000009", "9000000009"),
        (NHS, "NHS123456789", "NHS123456789"),
        (NHS, " nhs123456789 ", "NHS123456789"),
        (NHS, "94 3476 5919", "9434765919"),
    ],
)
def test_what_is_well_formed_becomes_canonical(
    kind: IdentifierType, text: str, canonical: str
) -> None:
    assert normalise_identifier(kind, text, accept_prototype_nhs=True) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "AB123456", "AB123456E", "AB12345C", "AB1234567C", "A1123456C", "AB.123456.C"),
        *("QQ123456A", "DA123456A", "AO123456A", "FB123456A", "AB123456C\n", "AB\t123456C"),
        *("BG123456A", "GB123456A", "KN123456A", "NK123456A", "NT123456A", "TN123456A"),
        *(
            "ZZ123456A",
            "AB１２３４５６C",
            "AB١٢٣٤٥٦C",
            "АB123456C",
            "AB123456\u212a",
            "A\u0131123456C",
        ),
    ],
)
def test_what_is_no_national_insurance_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        normalise_identifier(NIN, text, accept_prototype_nhs=True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "ten digits"),
        ("943476591", "ten digits"),
        ("94347659190", "ten digits"),
        ("943.476.5919", "ten digits"),
        ("9434765919\n", "ten digits"),
        ("NHS12345678", "ten digits"),
        ("NHS1234567890", "ten digits"),
        ("9434765918", "check digit"),
        ("9000000000", "check digit"),
        ("4857773456", "check digit"),
        ("9000000015", "check digit"),
        ("٩٤٣٤٧٦٥٩١٩", "only the letters"),
        ("943\u0660476\u06605919", "only the letters"),
    ],
)
def test_what_is_no_nhs_number_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        normalise_identifier(NHS, text, accept_prototype_nhs=True)


def test_the_form_of_the_prototype_passes_only_where_it_is_allowed() -> None:
    with pytest.raises(ValueError, match="ten digits"):
        normalise_identifier(NHS, "NHS123456789", accept_prototype_nhs=False)


@given(ninos)
def test_every_national_insurance_number_is_its_own_canonical_form(nino: str) -> None:
    assert normalise_identifier(NIN, nino, accept_prototype_nhs=False) == nino


@given(ninos, st.lists(st.integers(0, 9), max_size=4))
def test_case_and_spaces_do_not_matter_in_a_national_insurance_number(
    nino: str, gaps: list[int]
) -> None:
    spaced = "".join(character + " " * gaps.count(at) for at, character in enumerate(nino))
    assert normalise_identifier(NIN, spaced.lower(), accept_prototype_nhs=False) == nino


@given(nhs_numbers)
def test_every_nhs_number_is_its_own_canonical_form_and_prints_in_groups(number: str) -> None:
    printed = f"{number[:3]} {number[3:6]} {number[6:]}"
    assert normalise_identifier(NHS, number, accept_prototype_nhs=False) == number
    assert normalise_identifier(NHS, printed, accept_prototype_nhs=False) == number


@given(nhs_numbers, st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_never_passes(number: str, at: int, shift: int) -> None:
    wrong = f"{number[:at]}{(int(number[at]) + shift) % 10}{number[at + 1 :]}"
    with pytest.raises(ValueError, match="check digit"):
        normalise_identifier(NHS, wrong, accept_prototype_nhs=False)


@given(st.sampled_from(IdentifierType), st.text(max_size=30))
@example(NIN, "QQ123456C")
@example(NHS, "9434765918")
@example(NIN, "number")
@example(NHS, "digits")
def test_a_refusal_never_repeats_the_value(kind: IdentifierType, text: str) -> None:
    try:
        canonical = normalise_identifier(kind, text, accept_prototype_nhs=True)
    except ValueError as fault:
        # The text may be a word of a sentence, so the sentences are compared as wholes.
        assert str(fault) in REFUSALS  # noqa: PT017 - either branch is fine, both are checked
    else:
        assert normalise_identifier(kind, canonical, accept_prototype_nhs=True) == canonical


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
    assert normalise_utr(text) == canonical


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
        normalise_utr(text)


@given(st.text("0123456789", min_size=9, max_size=9))
def test_exactly_one_first_digit_fits_the_other_nine(rest: str) -> None:
    fitting = [digit for digit in "0123456789" if _is_reference(f"{digit}{rest}")]
    assert len(fitting) == 1


def _is_reference(text: str) -> bool:
    try:
        return normalise_utr(text) == text
    except ValueError:
        return False


@pytest.mark.parametrize(
    ("kind", "value", "key"),
    [
        (NIN, "AB465851A", "AB465851"),
        (NIN, "AB465851D", "AB465851"),
        (NIN, "AB465851", "AB465851"),
        (NHS, "9434765919", "9434765919"),
        (NHS, "NHS123456789", "NHS123456789"),
    ],
)
def test_b1_eight_characters_identify_a_national_insurance_number(
    kind: IdentifierType, value: str, key: str
) -> None:
    assert identity_key(kind, value) == key


@pytest.mark.parametrize("text", ["ab 46 58 51", "AB465851", "AB465851B", " ab465851 d "])
def test_b1_a_lookup_reads_a_number_with_or_without_its_last_letter(text: str) -> None:
    assert parse_identity_key(NIN, text, accept_prototype_nhs=False) == "AB465851"


@pytest.mark.parametrize("text", ["AB46585", "AB4658511", "AB465851E", "BG465851", "\u0131B465851"])
def test_b1_a_lookup_of_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        parse_identity_key(NIN, text, accept_prototype_nhs=False)


@pytest.mark.parametrize("text", ["AB465851", "ab 46 58 51"])
def test_b1_registration_still_requires_the_letter(text: str) -> None:
    with pytest.raises(ValueError, match="a letter A to D"):
        normalise_identifier(NIN, text, accept_prototype_nhs=True)


PASTED = [
    pytest.param("\u00a0", id="no-break space"),
    pytest.param("\u202f", id="narrow no-break space"),
    pytest.param("\u3000", id="ideographic space"),
    pytest.param("-", id="hyphen"),
    pytest.param("\u2011", id="no-break hyphen"),
    pytest.param("\u2013", id="en dash"),
    pytest.param("\u2212", id="minus sign"),
    pytest.param("\u202c", id="end of an embedding"),
    pytest.param("\u200e", id="left-to-right mark"),
    pytest.param("\u2069", id="end of an isolate"),
    pytest.param("\u200b", id="zero-width space"),
    pytest.param("\ufeff", id="byte order mark"),
]


@pytest.mark.parametrize("pasted", PASTED)
@pytest.mark.parametrize(
    ("kind", "value"), [(NIN, "AB123456C"), (NHS, "9434765919"), (NHS, "NHS123456789")]
)
def test_b6_what_is_pasted_between_characters_is_dropped(
    kind: IdentifierType, value: str, pasted: str
) -> None:
    text = f"{pasted}{value[:3]}{pasted}{value[3:6]}{pasted}{value[6:]}{pasted}"
    assert normalise_identifier(kind, text, accept_prototype_nhs=True) == value


@pytest.mark.parametrize("pasted", PASTED)
def test_b6_a_utr_is_read_like_the_other_numbers(pasted: str) -> None:
    assert normalise_utr(f"10000{pasted}57161{pasted}") == "1000057161"


@pytest.mark.parametrize("kept", ["\t", "\n", "\u2028", "\x00", "\u0301", "."])
def test_b6_what_is_no_separator_is_still_refused(kept: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        normalise_identifier(NIN, f"AB{kept}123456C", accept_prototype_nhs=True)
