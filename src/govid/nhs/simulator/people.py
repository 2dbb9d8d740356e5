"""The people whom the simulated PDS knows: the test patients that the NHS publishes.

Those with numbers 999 000 ... are govid's own, for cases that nobody publishes.
"""

from datetime import date

import msgspec


class Person(msgspec.Struct, frozen=True, kw_only=True):
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
    is_restricted: bool = False
    is_invalidated: bool = False
    is_hidden: bool = False
    """Found by a search, and by no number (as in the NHS's own sandbox)."""
    superseded_by: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Person>"


_SMITH = Person(
    number="9000000009",
    family="Smith",
    given=("Jane",),
    prefix="Mrs",
    gender="female",
    born="2010-10-22",
    postcode="LS1 6AE",
    lines=("1 Trevelyan Square", "Boar Lane", "City Centre", "Leeds", "West Yorkshire"),
    phone="01632960587",
    email="jane.smith@example.com",
    practice="Y12345",
    version=2,
    died="2010-10-22T00:00:00+00:00",
    death_status="2",
)

PUBLISHED: tuple[Person, ...] = (
    _SMITH,
    Person(
        number="9000000017",
        family="Smyth",
        given=("Jayne",),
        gender="female",
        born="2010-10-22",
        is_hidden=True,
    ),
    Person(
        number="9000000025",
        family="Smythe",
        given=("Janet",),
        prefix="Mrs",
        gender="female",
        born="2005-06-16",
        postcode="LS1 6AE",
        practice="Y12345",
        version=2,
        is_restricted=True,
    ),
    Person(number="9000000033"),
    Person(number="9990003343", family="Gone", given=("Record",), is_invalidated=True),
    Person(
        number="9693632109",
        family="GARTON",
        given=("Bill",),
        prefix="Mr",
        gender="male",
        born="1946-06-23",
        postcode="DN18 5DW",
        practice="A20047",
        version=58,
    ),
    Person(
        number="9732110317",
        family="SANDERSON",
        given=("Adrian",),
        gender="male",
        born="1936-06-21",
    ),
    Person(
        number="9733162043",
        family="KILLEN",
        given=("Dean", "Roger"),
        gender="male",
        born="1955-05-27",
        postcode="DN16 3BA",
    ),
    Person(
        number="9736363015",
        family="MOONEY",
        given=("Conrad", "Landon"),
        gender="male",
        born="1937-04-08",
    ),
    Person(
        number="9736363023",
        family="MELLOY",
        given=("Cyril", "Gordon"),
        gender="male",
        born="1940-08-02",
    ),
    Person(
        number="9736363066",
        family="WEAVER",
        given=("Randal", "Gerald"),
        gender="male",
        born="1933-02-25",
    ),
    Person(
        number="9736363074",
        family="WILCOX",
        given=("Arthur", "Mathew"),
        gender="male",
        born="1955-11-05",
    ),
    Person(
        number="9727022820",
        family="HIDDEN",
        given=("Robin",),
        gender="other",
        born="1980-02-29",
        is_restricted=True,
    ),
    Person(number="5900053636", superseded_by="9990000018"),
    Person(number="9912003888", family="DAWKINS", given=("Dom",), born="2017-10-02"),
    Person(
        number="9476719931",
        family="Chalmers",
        given=("Peter", "James"),
        gender="male",
        born="1974-12-25",
        postcode="LS1 4HR",
    ),
)

OWN: tuple[Person, ...] = (
    Person(number="9990000018", family="Newman", given=("Nora",), born="1970-01-02", version=3),
    Person(number="9990000026", family="Partial", given=("Paul",), born="1961-04"),
    Person(
        number="9990000034", family="Unsure", given=("Una",), born="1961-04-05", verification="02"
    ),
    Person(
        number="9990000042",
        family="Reported",
        given=("Rita",),
        born="1950-05-06",
        died="2025",
        death_status="1",
    ),
    Person(
        number="9990000050",
        family="Alive",
        given=("Alan",),
        born="1950-05-07",
        death_status="U",
    ),
    Person(number="9990000069", family="O’Brïen-Smith", given=("Zoë", "Mae"), born="1990-09-09"),
)


class People:
    """All records, by number. They can be added to and changed while the simulator runs."""

    def __init__(self) -> None:
        """Begin with everybody above."""
        self._people = {one.number: one for one in (*PUBLISHED, *OWN)}

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
