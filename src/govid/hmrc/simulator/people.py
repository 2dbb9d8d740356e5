"""People of the simulated HMRC: those of HMRC's published tests, and some of govid's own."""

from collections.abc import Callable
from datetime import date

import msgspec


class SimulatedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """One person. Several people may share a published number, each for another test."""

    nino: str
    first: str
    last: str
    born: date
    has_died: bool = False

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


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
