"""Patients of the simulated PDS, loaded from `people.json`.

They are test patients that the NHS publishes, and govid's own, with numbers that begin with
999 000, for cases without a published patient.
"""

from datetime import date
from importlib import resources

import msgspec


class SimulatedPatient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record. Dates are as precise as known: `2010`, `2010-10` or `2010-10-22`."""

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
    """1 informal, 2 formal, U removed: entered in error."""
    removal: str | None = None
    """Reason for removal from the practice, such as EMB (embarked)."""
    is_restricted: bool = False
    is_invalidated: bool = False
    is_hidden: bool = False
    """Found by a search, but not by number (as in the NHS's own sandbox)."""
    superseded_by: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Person>"


class _PeopleFile(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `people.json`."""

    published: tuple[SimulatedPatient, ...]
    own: tuple[SimulatedPatient, ...]


class SimulatedPatients:
    """All records by number. They can be added and replaced while the simulator runs."""

    def __init__(self) -> None:
        """Load the records of the file."""
        text = resources.files("govid.nhs.simulator").joinpath("people.json").read_bytes()
        known = msgspec.json.decode(text, type=_PeopleFile)
        self._people = {one.number: one for one in (*known.published, *known.own)}

    def get(self, number: str) -> SimulatedPatient | None:
        """Return the record of *number*, without following `superseded_by`."""
        return self._people.get(number)

    def add(self, person: SimulatedPatient) -> None:
        """Add *person* or replace their record."""
        self._people[person.number] = person

    def list_searchable(self) -> list[SimulatedPatient]:
        """Return the records that a search may find."""
        return [
            one
            for one in self._people.values()
            if one.family and not one.is_invalidated and one.superseded_by is None
        ]


def is_existing_date(text: str) -> bool:
    """Tell whether *text* is a complete and existing date."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
