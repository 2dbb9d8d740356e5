"""Parses the details of a person in a matching request."""

import re
from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from govid.bus.contracts import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier

MATCHING_FIELDS = ("firstName", "lastName", "nino", "dateOfBirth")
_NAME = re.compile(r"[a-zA-Z `\-'^]{1,35}")
_ANY_SUFFIX = "A"


class SubmittedDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The details of a person in a request."""

    first: str
    last: str
    nino: str
    born: date

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class InvalidDetails(Exception):
    """Some fields are missing, or others are malformed; never both at once."""

    def __init__(self, *, missing: Sequence[str] = (), malformed: Sequence[str] = ()) -> None:
        """Name the fields as in the request."""
        self.missing = missing
        self.malformed = malformed
        super().__init__()


def parse_details(body: bytes, *, suffix_optional: bool = False) -> SubmittedDetails:
    """Parse *body*. An older version of the API accepts a number without its last letter.

    Raises:
        InvalidDetails: a field is missing or malformed.
    """
    try:
        content = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError:
        content = {}
    missing = [name for name in MATCHING_FIELDS if content.get(name) in (None, "")]
    if missing:
        raise InvalidDetails(missing=missing)
    return _claim(content, suffix_optional=suffix_optional)


def _claim(content: Mapping[str, object], *, suffix_optional: bool) -> SubmittedDetails:
    first, last, nino, born = (str(content[name]) for name in MATCHING_FIELDS)
    day = _date(born)
    valid = {
        "firstName": _NAME.fullmatch(first),
        "lastName": _NAME.fullmatch(last),
        "nino": _is_nino(nino) or (suffix_optional and _is_nino(nino + _ANY_SUFFIX)),
        "dateOfBirth": day,
    }
    malformed = [name for name in MATCHING_FIELDS if not valid[name]]
    if day is None or malformed:
        raise InvalidDetails(malformed=malformed)
    return SubmittedDetails(first=first, last=last, nino=nino, born=day)


def _is_nino(text: str) -> bool:
    try:
        return normalise_identifier(IdentifierType.NIN, text, prototype_form=False) == text
    except ValueError:
        return False


def _date(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None
