"""What a citizen may say of themselves, in the form in which it is compared."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Protocol

from govid.bus import FieldFault, Invalid
from govid.bus.contracts import IdentifierType
from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.identifiers import drop_separators
from govid.bus.shared.names import HMRC_NAME_MAX, first_given_name, hmrc_spellings, is_joiner
from govid.bus.shared.plain_text import is_plain_line
from govid.identity.errors import Fault
from govid.identity.passwords.policy import is_unicode

NAME_MAX = 100
LONGEST_LIFE_YEARS = 130

_POSTCODE = re.compile(r"(?:GIR|[A-Z]{1,2}[0-9][A-Z0-9]?)[0-9][A-Z]{2}")
_NOT_SENDABLE = (
    "cannot be sent to HMRC, whose form takes the letters A to Z and at most"
    f" {HMRC_NAME_MAX} characters"
)
_INWARD = 3
"""The characters of a postcode after its space."""


class Claimed(Protocol):
    """A request that may say who somebody is."""

    @property
    def given_name(self) -> str | None:
        """All given names, or the first."""

    @property
    def family_name(self) -> str | None:
        """The family name."""

    @property
    def date_of_birth(self) -> date | None:
        """A day."""

    @property
    def postcode(self) -> str | None:
        """Of the home."""


def today() -> date:
    """Return the day of the month in UTC."""
    return datetime.now(UTC).date()


def claimed(
    request: Claimed,
    now: Callable[[], date] = today,
    *,
    identifier_type: IdentifierType | str | None = None,
) -> ClaimedFacts | None:
    """Return what *request* says of its sender, or None if that is nothing.

    The given name may be left out by someone who has one name. Beside a National Insurance number
    (*identifier_type*) both are needed, in letters that HMRC's form can carry.

    Raises:
        Invalid: a fact is not well-formed, or one of name and date of birth is missing; each such
            field is named.
    """
    to_hmrc = identifier_type == IdentifierType.NIN
    given, family, born = request.given_name, request.family_name, request.date_of_birth
    if all(fact is None for fact in (given, family, born, request.postcode)):
        return None
    faults: list[FieldFault] = []

    def read(field: str, rule: Callable[[], str | date]) -> None:
        try:
            rule()
        except Fault as fault:
            faults.append(FieldFault(loc=("body", field), msg=str(fault), type=fault.kind))

    if given is not None or family is None or to_hmrc:
        read("givenName", lambda: _named(given, first_given_name, to_hmrc=to_hmrc))
    read("familyName", lambda: _named(family, str, to_hmrc=to_hmrc))
    read("dateOfBirth", lambda: birthday(born, now()))
    read("postcode", lambda: postcode(request.postcode) or "")
    if faults:
        raise Invalid("; ".join(f"{f.loc[-1]}: {f.msg}" for f in faults), faults=tuple(faults))
    return ClaimedFacts(
        given_name=None if given is None else name(given),
        family_name=name(family),
        date_of_birth=birthday(born, now()),
        postcode=postcode(request.postcode),
    )


def name(text: str | None) -> str:
    """Return the name *text* in its composed form, with single spaces.

    Raises:
        Fault: there is none, it has no letter, is too long, or holds what no name does.
    """
    if text is None:
        raise Fault("missing", "is needed beside the other facts")
    if not is_unicode(text):
        raise Fault("name_format", "is not valid Unicode text")
    if len(text) > NAME_MAX:
        raise Fault("name_too_long", f"has more than {NAME_MAX} characters")
    if not is_plain_line(text):
        # Before spaces are joined: some of these count as spaces.
        raise Fault("name_format", "holds characters that are in no name")
    whole = " ".join(unicodedata.normalize("NFC", text).split())
    # Categories C are controls, marks of direction and what is assigned to nothing.
    if any(
        unicodedata.category(letter).startswith("C") and not is_joiner(whole, place)
        for place, letter in enumerate(whole)
    ):
        raise Fault("name_format", "holds characters that are in no name")
    if not any(letter.isalpha() for letter in whole):
        raise Fault("name_format", "has no letter")
    return whole


def _named(text: str | None, part_sent: Callable[[str], str], *, to_hmrc: bool) -> str:
    """Return the name *text*, of which a department gets the *part_sent*.

    Raises:
        Fault: it is no name, or HMRC's form cannot carry it.
    """
    if to_hmrc and text is None:
        raise Fault("missing", "is needed: HMRC's form has a given name and a family name")
    whole = name(text)
    if to_hmrc:
        try:
            hmrc_spellings(part_sent(whole))
        except ValueError:
            raise Fault("name_not_sendable", _NOT_SENDABLE) from None
    return whole


def birthday(day: date | None, now: date) -> date:
    """Return the date of birth *day*.

    Raises:
        Fault: there is none, it is still to come, or longer ago than anybody lives.
    """
    if day is None:
        raise Fault("missing", "is needed beside the other facts")
    if day > now:
        raise Fault("date_in_future", "is in the future")
    if day.year < now.year - LONGEST_LIFE_YEARS:
        raise Fault("date_too_old", f"is more than {LONGEST_LIFE_YEARS} years ago")
    return day


def postcode(text: str | None) -> str | None:
    """Return the postcode *text* in capitals with its one space.

    Raises:
        Fault: no postcode of the United Kingdom looks like it. Whether it exists nobody asks.
    """
    if text is None:
        return None
    # Before any change of case: the capital of a dotless i is an ASCII letter.
    compact = drop_separators("".join(text.split()))
    compact = compact.upper() if compact.isascii() else ""
    if not _POSTCODE.fullmatch(compact):
        raise Fault("postcode_format", "is not a postcode, as in LS1 6AE")
    return f"{compact[:-_INWARD]} {compact[-_INWARD:]}"
