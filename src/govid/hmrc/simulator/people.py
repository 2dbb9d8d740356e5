"""The people whom the simulated HMRC knows: those of published tests, and some of govid's own."""

from collections.abc import Callable
from datetime import date

import msgspec


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One individual. A published number may have several: each test has its own."""

    nino: str
    first: str
    last: str
    born: date
    has_died: bool = False

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Person>"


PUBLISHED: tuple[Person, ...] = (
    Person(nino="AA000003D", first="Jim", last="Ferguson", born=date(1948, 4, 23)),
    Person(nino="AA000003D", first="Kenneth", last="Decerqueira", born=date(1965, 7, 8)),
    Person(nino="NA000799C", first="Amanda", last="Joseph", born=date(1960, 1, 15)),
    Person(nino="PE938808A", first="Ida", last="Newton", born=date(1960, 6, 1)),
    Person(nino="BB123456B", first="John", last="Smith", born=date(1975, 5, 25)),
)

OWN: tuple[Person, ...] = (
    # The number is published, for somebody who has died; who it was is not.
    Person(nino="ZX000056A", first="Doris", last="Departed", born=date(1931, 2, 3), has_died=True),
    Person(nino="WW000001A", first="Zoe", last="O'Brien-Smith", born=date(1990, 9, 9)),
    Person(nino="WW000002B", first="Maria", last="Garcia Lorca", born=date(1979, 12, 31)),
)


class People:
    """All individuals. They can be added to while the simulator runs."""

    def __init__(self) -> None:
        """Begin with everybody above."""
        self._people = [*PUBLISHED, *OWN]

    def put(self, person: Person) -> None:
        """Add *person*."""
        self._people.append(person)

    def find(self, fits: Callable[[Person], bool]) -> Person | None:
        """Return the first individual that *fits*."""
        return next(filter(fits, self._people), None)
