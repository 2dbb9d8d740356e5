"""Validates and normalises the facts that a citizen claims: names, date of birth, postcode."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Protocol

from govid.bus import FieldProblem, InvalidRequest
from govid.bus.contracts import IdentifierType
from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.identifiers import drop_separators
from govid.bus.shared.names import HMRC_NAME_MAX, first_given_name, hmrc_spellings, is_joiner
from govid.bus.shared.plain_text import is_plain_line
from govid.identity.errors import FieldError
from govid.identity.passwords.policy import is_unicode

NAME_MAX = 100
LONGEST_LIFE_YEARS = 130

_POSTCODE = re.compile(r"(?:GIR|[A-Z]{1,2}[0-9][A-Z0-9]?)[0-9][A-Z]{2}")
_NOT_SENDABLE = (
    "cannot be sent to HMRC, whose form takes the letters A to Z and at most"
    f" {HMRC_NAME_MAX} characters"
)
_INWARD = 3
"""Number of characters of a postcode after the space."""


class FactsRequest(Protocol):
    """A request that may contain claimed facts."""

    @property
    def given_name(self) -> str | None:
        """All given names, or the first."""

    @property
    def family_name(self) -> str | None:
        """The family name."""

    @property
    def date_of_birth(self) -> date | None:
        """The date of birth."""

    @property
    def postcode(self) -> str | None:
        """The postcode of the home address."""


def today_in_utc() -> date:
    """Return the current date in UTC."""
    return datetime.now(UTC).date()


def claimed_facts(
    request: FactsRequest,
    now: Callable[[], date] = today_in_utc,
    *,
    identifier_type: IdentifierType | str | None = None,
) -> ClaimedFacts | None:
    """Return the facts that *request* claims, or None if it claims none.

    The given name is optional, because some people have only one name. With a National Insurance
    number (*identifier_type*) both names are required, in letters that HMRC's form accepts.

    Raises:
        Invalid: a fact is not well-formed, or the name or the date of birth is missing. The error
            names each such field.
    """
    to_hmrc = identifier_type == IdentifierType.NIN
    given, family, born = request.given_name, request.family_name, request.date_of_birth
    if all(fact is None for fact in (given, family, born, request.postcode)):
        return None
    faults: list[FieldProblem] = []

    def read(field: str, rule: Callable[[], str | date]) -> None:
        try:
            rule()
        except FieldError as fault:
            faults.append(FieldProblem(loc=("body", field), msg=str(fault), type=fault.kind))

    if given is not None or family is None or to_hmrc:
        read("givenName", lambda: _named(given, first_given_name, to_hmrc=to_hmrc))
    read("familyName", lambda: _named(family, str, to_hmrc=to_hmrc))
    read("dateOfBirth", lambda: validate_date_of_birth(born, now()))
    read("postcode", lambda: normalise_postcode(request.postcode) or "")
    if faults:
        raise InvalidRequest(
            "; ".join(f"{f.loc[-1]}: {f.msg}" for f in faults), faults=tuple(faults)
        )
    return ClaimedFacts(
        given_name=None if given is None else normalise_name(given),
        family_name=normalise_name(family),
        date_of_birth=validate_date_of_birth(born, now()),
        postcode=normalise_postcode(request.postcode),
    )


def normalise_name(text: str | None) -> str:
    """Return the name *text* in its composed form, with single spaces.

    Raises:
        FieldError: *text* is missing, has no letter, is too long, or has characters of no name.
    """
    if text is None:
        raise FieldError("missing", "is needed with the other facts")
    if not is_unicode(text):
        raise FieldError("name_format", "is not valid Unicode text")
    if len(text) > NAME_MAX:
        raise FieldError("name_too_long", f"has more than {NAME_MAX} characters")
    if not is_plain_line(text):
        # This check comes before spaces are joined, because some of these characters are spaces.
        raise FieldError("name_format", "contains characters that no name has")
    whole = " ".join(unicodedata.normalize("NFC", text).split())
    # Categories C: control characters, direction marks and unassigned code points.
    if any(
        unicodedata.category(letter).startswith("C") and not is_joiner(whole, place)
        for place, letter in enumerate(whole)
    ):
        raise FieldError("name_format", "contains characters that no name has")
    if not any(letter.isalpha() for letter in whole):
        raise FieldError("name_format", "has no letter")
    return whole


def _named(text: str | None, part_sent: Callable[[str], str], *, to_hmrc: bool) -> str:
    """Return the normalised name *text*; *part_sent* returns the part that a department receives.

    Raises:
        FieldError: *text* is not a name, or HMRC's form does not accept it.
    """
    if to_hmrc and text is None:
        raise FieldError("missing", "is needed: HMRC's form has a given name and a family name")
    whole = normalise_name(text)
    if to_hmrc:
        try:
            hmrc_spellings(part_sent(whole))
        except ValueError:
            raise FieldError("name_not_sendable", _NOT_SENDABLE) from None
    return whole


def validate_date_of_birth(day: date | None, now: date) -> date:
    """Return the date of birth *day*.

    Raises:
        FieldError: *day* is missing, in the future, or more than `LONGEST_LIFE_YEARS` ago.
    """
    if day is None:
        raise FieldError("missing", "is needed with the other facts")
    if day > now:
        raise FieldError("date_in_future", "is in the future")
    if day.year < now.year - LONGEST_LIFE_YEARS:
        raise FieldError("date_too_old", f"is more than {LONGEST_LIFE_YEARS} years ago")
    return day


def normalise_postcode(text: str | None) -> str | None:
    """Return the postcode *text* in capitals with one space.

    Does not check that the postcode exists.

    Raises:
        FieldError: *text* does not have the format of a postcode of the United Kingdom.
    """
    if text is None:
        return None
    # This check comes before the change of case: the capital of a dotless i is an ASCII letter.
    compact = drop_separators("".join(text.split()))
    compact = compact.upper() if compact.isascii() else ""
    if not _POSTCODE.fullmatch(compact):
        raise FieldError("postcode_format", "is not a postcode, as in LS1 6AE")
    return f"{compact[:-_INWARD]} {compact[-_INWARD:]}"
