"""Brings identifiers into one canonical form, and holds the facts that citizens claim.

Two spellings of one NHS number, National Insurance number or UTR become equal. A well-formed
identifier need not exist: only the department knows whether it does, and to whom it belongs. No
event carries claimed facts. A department reads them through an interface when it needs them, and
stores none of them.
"""

import re
import unicodedata
from datetime import date
from typing import Protocol
from uuid import UUID

from nhs_number.validate import calculate_checksum

from govid.bus.shared.contract import IdentifierType
from govid.bus.shared.privacy import Personal, RedactedStruct

NINO_SUFFIXES = "ABCD"
"""The letters that a National Insurance number may end in."""

# The classes are [0-9] and never \d, which matches the digits of every script.
_NINO = re.compile(r"[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z][0-9]{6}[A-D]")
_NINO_KEY = re.compile(_NINO.pattern.removesuffix("[A-D]"))
_NINO_KEY_LENGTH = 8
_NINO_PREFIXES_NEVER_ISSUED = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_NHS_NUMBER = re.compile(r"[0-9]{10}")
_PROTOTYPE_NHS = re.compile(r"NHS[0-9]{9}")
_SEPARATORS = frozenset({"Zs", "Pd"})
"""The Unicode categories of spaces and of dashes."""
_INVISIBLE = frozenset(
    "\u2212"  # the minus sign, which Unicode does not count as a dash
    "\u00ad\u200b\u2060\ufeff"  # soft hyphen, and zero-width joiners and spaces
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # direction
)
_UTR = re.compile(r"[0-9]{10}")
_UTR_WEIGHTS = (6, 7, 8, 9, 10, 5, 4, 3, 2)
_UTR_CHECK_DIGITS = "21987654321"


def normalise_identifier(
    identifier_type: IdentifierType, text: str, *, accept_prototype_nhs: bool
) -> str:
    """Return *text* as the canonical form of its *identifier_type*.

    With *accept_prototype_nhs*, `NHS` and nine digits are accepted as an NHS identifier and kept as
    a whole. No real department uses that form.

    Raises:
        ValueError: it is not such an identifier. Its text may be shown; it never holds *text*.
    """
    compact = drop_separators(text)
    # Before any change of case: the capital of a dotless i is an ASCII letter.
    if not compact.isascii():
        raise ValueError("use only the letters A to Z, digits, spaces and hyphens")
    compact = compact.upper()
    if identifier_type is IdentifierType.NIN:
        return _check_nino(compact)
    if accept_prototype_nhs and _PROTOTYPE_NHS.fullmatch(compact):
        return compact
    return _check_nhs_number(compact)


def drop_separators(text: str) -> str:
    """Return *text* without separators and invisible characters of any script.

    A number that is pasted from a document may contain spaces, hyphens and dashes, direction marks
    and zero-width joiners. Tabs and line breaks stay, because they occur in no number.
    """
    return "".join(
        character
        for character in text
        if unicodedata.category(character) not in _SEPARATORS and character not in _INVISIBLE
    )


def identity_key(identifier_type: IdentifierType, canonical_value: str) -> str:
    """Return the part of a canonical identifier that identifies a person.

    The last letter of a National Insurance number only says when contributions were due; the first
    eight characters identify the person. An NHS number is compared as a whole.

    Source: HMRC, Individuals Matching API 1.0, which compares eight characters.
    """
    if identifier_type is IdentifierType.NIN:
        return canonical_value[:_NINO_KEY_LENGTH]
    return canonical_value


def values_with_key(identifier_type: IdentifierType, key: str) -> tuple[str, ...]:
    """Return the canonical identifiers that have the identity key *key*."""
    if identifier_type is IdentifierType.NIN:
        return tuple(f"{key}{suffix}" for suffix in NINO_SUFFIXES)
    return (key,)


def parse_identity_key(
    identifier_type: IdentifierType, text: str, *, accept_prototype_nhs: bool
) -> str:
    """Return the identity key of *text*; a National Insurance number may lack its last letter.

    Used for look-ups (death notices, operators' selectors), never for registration.

    Raises:
        ValueError: it is not such an identifier. Its text may be shown; it never holds *text*.
    """
    if identifier_type is IdentifierType.NIN and _NINO_KEY.fullmatch(_compact(text)):
        text = f"{text}{NINO_SUFFIXES[0]}"
    return identity_key(
        identifier_type,
        normalise_identifier(identifier_type, text, accept_prototype_nhs=accept_prototype_nhs),
    )


def normalise_utr(text: str) -> str:
    """Return the unique taxpayer reference *text* as ten digits.

    Spaces, hyphens and a leading or trailing `K` are dropped. The first digit is a check digit.

    Source: github.com/hmrc/domain, SaUtr and Modulus11Check.

    Raises:
        ValueError: it is not a reference. Its text may be shown; it never holds *text*.
    """
    utr = _compact(text)
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
    """Return *text* in capitals and without separators; non-ASCII text keeps its case."""
    # Before any change of case: the capital of a dotless i is an ASCII letter.
    compact = drop_separators(text)
    return compact.upper() if compact.isascii() else compact


def _check_nino(nino: str) -> str:
    """Return *nino* if it is a National Insurance number. It has no check digit.

    Source: HMRC, NIM39110; github.com/hmrc/domain.
    """
    if not _NINO.fullmatch(nino):
        raise ValueError(
            "a National Insurance number is two letters, six digits and a letter A to D"
        )
    if nino[:2] in _NINO_PREFIXES_NEVER_ISSUED:
        raise ValueError("no National Insurance number begins with these two letters")
    return nino


def _check_nhs_number(number: str) -> str:
    """Return *number* if it is an NHS number: ten digits, the tenth a modulus-11 check digit.

    Source: NHS Data Dictionary, "NHS NUMBER".
    """
    # The library also accepts nine digits, so the form is checked here.
    if not _NHS_NUMBER.fullmatch(number):
        raise ValueError("an NHS number is ten digits, with spaces as in 943 476 5919")
    if len(set(number)) == 1:
        # Their check digit is right, but such a number is only ever a placeholder.
        raise ValueError("an NHS number is not one digit ten times")
    if calculate_checksum(number[:9]) != int(number[9]):
        raise ValueError("the check digit does not fit the rest of this NHS number")
    return number


class ClaimedFacts(RedactedStruct, frozen=True, kw_only=True):
    """A name, a date of birth and possibly a postcode, as the citizen entered them.

    `given_name` is None for a person with a single name.
    """

    given_name: Personal[str | None] = None
    family_name: Personal[str]
    date_of_birth: Personal[date]
    postcode: Personal[str | None] = None


class ClaimedFactsSource(Protocol):
    """Reads the facts that an account holder has claimed."""

    async def for_account(self, account_id: UUID) -> ClaimedFacts | None:
        """Return the facts of the account, or None if too few were given."""


class VerifiedIdentifierLookup(Protocol):
    """Reads for which accounts identifiers were verified."""

    async def is_verified_elsewhere(
        self, account_id: UUID, identifier_type: IdentifierType, canonical_value: str
    ) -> bool:
        """Tell whether the identifier was verified for another account than this one."""
