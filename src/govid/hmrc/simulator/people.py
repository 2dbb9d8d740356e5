"""People of the simulated HMRC, and the details of a person in a matching request.

Some people are those of HMRC's published tests, some are govid's own.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import msgspec

from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.bus.shared.privacy import RedactedStruct


class SimulatedPerson(RedactedStruct, frozen=True, kw_only=True):
    """One person.

    Several people may have the same published number; each is for a different test.
    """

    nino: str
    first: str
    last: str
    born: date
    has_died: bool = False


PUBLISHED_PEOPLE: tuple[SimulatedPerson, ...] = (
    SimulatedPerson(nino="AA000003D", first="Jim", last="Ferguson", born=date(1948, 4, 23)),
    SimulatedPerson(nino="AA000003D", first="Kenneth", last="Decerqueira", born=date(1965, 7, 8)),
    SimulatedPerson(nino="NA000799C", first="Amanda", last="Joseph", born=date(1960, 1, 15)),
    SimulatedPerson(nino="PE938808A", first="Ida", last="Newton", born=date(1960, 6, 1)),
    SimulatedPerson(nino="BB123456B", first="John", last="Smith", born=date(1975, 5, 25)),
)

OWN_PEOPLE: tuple[SimulatedPerson, ...] = (
    # HMRC publishes the number, of a person who has died, but not the name.
    SimulatedPerson(
        nino="ZX000056A", first="Doris", last="Departed", born=date(1931, 2, 3), has_died=True
    ),
    SimulatedPerson(nino="WW000001A", first="Zoe", last="O'Brien-Smith", born=date(1990, 9, 9)),
    SimulatedPerson(nino="WW000002B", first="Maria", last="Garcia Lorca", born=date(1979, 12, 31)),
)


class SimulatedPeople:
    """All people. More can be added while the simulator runs."""

    def __init__(self) -> None:
        """Start with the people above."""
        self._people = [*PUBLISHED_PEOPLE, *OWN_PEOPLE]

    def add(self, person: SimulatedPerson) -> None:
        """Add *person*."""
        self._people.append(person)

    def find(self, fits: Callable[[SimulatedPerson], bool]) -> SimulatedPerson | None:
        """Return the first person that *fits*."""
        return next(filter(fits, self._people), None)


MATCHING_FIELDS = ("firstName", "lastName", "nino", "dateOfBirth")
_NAME = re.compile(r"[a-zA-Z `\-'^]{1,35}")
_ANY_SUFFIX = "A"


class SubmittedDetails(RedactedStruct, frozen=True, kw_only=True):
    """The details of a person in a request."""

    first: str
    last: str
    nino: str
    born: date


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
        return normalise_identifier(IdentifierType.NIN, text, accept_prototype_nhs=False) == text
    except ValueError:
        return False


def _date(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None
