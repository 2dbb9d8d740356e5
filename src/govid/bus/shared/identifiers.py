"""Brings identifiers into one canonical form: NHS number, National Insurance number, UTR.

Two spellings of one identifier become equal. A well-formed identifier need not exist: only the
department knows that, and who holds it.
"""

import re

from nhs_number.validate import calculate_checksum

from govid.bus.shared.contract import IdentifierType

NINO_SUFFIXES = "ABCD"
"""The letters that a National Insurance number may end in."""

# The classes say [0-9] and never \d, which takes the digits of every script.
_NINO = re.compile(r"[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z][0-9]{6}[A-D]")
_NINO_KEY = re.compile(_NINO.pattern.removesuffix("[A-D]"))
_NINO_KEY_LENGTH = 8
_NINO_PREFIXES_NEVER_ISSUED = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_NHS_NUMBER = re.compile(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}")
_PROTOTYPE_NHS = re.compile(r"NHS[0-9]{9}")
_UTR = re.compile(r"[0-9]{10}")
_UTR_WEIGHTS = (6, 7, 8, 9, 10, 5, 4, 3, 2)
_UTR_CHECK_DIGITS = "21987654321"


def normalise_identifier(
    identifier_type: IdentifierType, text: str, *, prototype_form: bool
) -> str:
    """Return *text* as the canonical form of its *identifier_type*.

    With *prototype_form*, `NHS` and nine digits pass as an NHS identifier, kept as a whole. No real
    department knows that form.

    Raises:
        ValueError: it is not such an identifier. Its text may be shown; it never holds *text*.
    """
    # Before any change of case: the capital of a dotless i is an ASCII letter.
    if not text.isascii():
        raise ValueError("only the letters A to Z, digits, spaces and hyphens may stand here")
    if identifier_type is IdentifierType.NIN:
        return _nino(text)
    if prototype_form and _PROTOTYPE_NHS.fullmatch(whole := text.strip(" ").upper()):
        return whole
    return _nhs_number(text)


def identity_key(identifier_type: IdentifierType, canonical_value: str) -> str:
    """Return the part of a canonical identifier that identifies a person.

    The last letter of a National Insurance number tells when contributions were due, and comes from
    the same person's record: the first eight characters are the number. An NHS number counts whole.

    Source: HMRC, Individuals Matching API 1.0, which compares eight characters.
    """
    if identifier_type is IdentifierType.NIN:
        return canonical_value[:_NINO_KEY_LENGTH]
    return canonical_value


def whole_values(identifier_type: IdentifierType, key: str) -> tuple[str, ...]:
    """Return the canonical identifiers that have the identity key *key*."""
    if identifier_type is IdentifierType.NIN:
        return tuple(f"{key}{suffix}" for suffix in NINO_SUFFIXES)
    return (key,)


def read_identity_key(identifier_type: IdentifierType, text: str, *, prototype_form: bool) -> str:
    """Return the identity key of *text*; a National Insurance number may lack its last letter.

    For what is looked up, never for what is registered: notices of death, operators' selectors.

    Raises:
        ValueError: it is not such an identifier. Its text may be shown; it never holds *text*.
    """
    if identifier_type is IdentifierType.NIN and _NINO_KEY.fullmatch(_compact(text)):
        text = f"{text}{NINO_SUFFIXES[0]}"
    return identity_key(
        identifier_type, normalise_identifier(identifier_type, text, prototype_form=prototype_form)
    )


def normalise_utr(text: str) -> str:
    """Return the unique taxpayer reference *text* as ten digits.

    Spaces and a leading or trailing `K` are forgiven. The first digit checks the other nine.

    Source: github.com/hmrc/domain, SaUtr and Modulus11Check.

    Raises:
        ValueError: it is none. Its text may be shown; it never holds *text*.
    """
    utr = text.replace(" ", "").upper() if text.isascii() else text
    utr = utr.removeprefix("K") if utr.startswith("K") else utr.removesuffix("K")
    if not _UTR.fullmatch(utr):
        raise ValueError("a unique taxpayer reference is ten digits")
    remainder = sum(
        int(digit) * weight for digit, weight in zip(utr[1:], _UTR_WEIGHTS, strict=True)
    )
    if utr[0] != _UTR_CHECK_DIGITS[remainder % 11]:
        raise ValueError("the check digit does not fit the rest of this reference")
    return utr


def _compact(text: str) -> str:
    """Return ASCII *text* in capitals, without its spaces; other text as it is."""
    # Before any change of case: the capital of a dotless i is an ASCII letter.
    return text.replace(" ", "").upper() if text.isascii() else text


def _nino(text: str) -> str:
    """Return the National Insurance number *text* as nine characters. It has no check digit.

    Source: HMRC, NIM39110; github.com/hmrc/domain.
    """
    nino = _compact(text)
    if not _NINO.fullmatch(nino):
        raise ValueError(
            "a National Insurance number is two letters, six digits and a letter A to D"
        )
    if nino[:2] in _NINO_PREFIXES_NEVER_ISSUED:
        raise ValueError("no National Insurance number begins with these two letters")
    return nino


def _nhs_number(text: str) -> str:
    """Return the NHS number *text* as ten digits; the tenth is a modulus-11 check digit.

    Source: NHS Data Dictionary, "NHS NUMBER".
    """
    printed = text.strip(" ")
    # The library takes nine digits and other groupings too: the form is settled here.
    if not _NHS_NUMBER.fullmatch(printed):
        raise ValueError("an NHS number is ten digits, with spaces as in 943 476 5919")
    number = re.sub("[ -]", "", printed)
    if len(set(number)) == 1:
        # These fit their check digit, and are what fills a field that nobody wants to fill.
        raise ValueError("an NHS number is not one digit ten times")
    if calculate_checksum(number[:9]) != int(number[9]):
        raise ValueError("the check digit does not fit the rest of this NHS number")
    return number
