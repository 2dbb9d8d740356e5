"""The people whom the simulated PDS knows, from `people.json`.

They are the test patients that the NHS publishes; and, with numbers that begin with 999 000,
govid's own, for cases that nobody publishes.
"""

from datetime import date
from importlib import resources

import msgspec


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record. Dates are as precise as they are known: `2010`, `2010-10` or `2010-10-22`."""

    number: str
    family: str | None = None
    given: tuple[str, ...] = ()
    prefix: str | None = None
    gender: str | None = None
    born: str | None = None
    postcode: str | None = None
    lines: tuple[str, ...] = ()
    phone: str | None = None
    email: str | None = None
    practice: str | None = None
    version: int = 1
    verification: str = "01"
    died: str | None = None
    death_status: str | None = None
    """1 informal, 2 formal, U entered in error: not dead."""
    removal: str | None = None
    """Why no practice has the person any more: EMB, embarked."""
    is_restricted: bool = False
    is_invalidated: bool = False
    is_hidden: bool = False
    """Found by a search, and by no number (as in the NHS's own sandbox)."""
    superseded_by: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Person>"


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """The file of people."""

    published: tuple[Person, ...]
    own: tuple[Person, ...]


class People:
    """All records, by number. They can be added to and changed while the simulator runs."""

    def __init__(self) -> None:
        """Begin with everybody in the file."""
        text = resources.files("govid.nhs.simulator").joinpath("people.json").read_bytes()
        known = msgspec.json.decode(text, type=_Known)
        self._people = {one.number: one for one in (*known.published, *known.own)}

    def get(self, number: str) -> Person | None:
        """Return the record of *number*; one that was superseded is not followed."""
        return self._people.get(number)

    def put(self, person: Person) -> None:
        """Add *person*, or change their record."""
        self._people[person.number] = person

    def found(self) -> list[Person]:
        """Return those whom a search may find."""
        return [
            one
            for one in self._people.values()
            if one.family and not one.is_invalidated and one.superseded_by is None
        ]


def is_date(text: str) -> bool:
    """Tell whether *text* is a whole date of the calendar."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
