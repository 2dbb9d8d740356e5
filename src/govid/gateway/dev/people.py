"""Synthetic people. None of their data can belong to a real person.

Email addresses end in example.com; telephone numbers are from the range that Ofcom reserves for
drama; NHS numbers are from the range that is never issued; National Insurance numbers are those
that HMRC publishes for tests.
"""

import random
from collections.abc import Iterator
from typing import Literal

from nhs_number.constants import REGION_SYNTHETIC
from nhs_number.validate import calculate_checksum

from govid.bus.shared.contract import AccountStatus
from govid.bus.shared.privacy import RedactedStruct

GIVEN = ("Ada", "Ben", "Carys", "Dylan", "Esme", "Faisal", "Grace", "Hamish", "Imran", "Joan")
FAMILY = ("Ashworth", "Bevan", "Chaudhry", "Drummond", "Ellis", "Fraser", "Gill", "Hughes")
DRAMA_PHONE = "+447700900{:03d}"
_NO_CHECK_DIGIT = 10


class SyntheticPerson(RedactedStruct, frozen=True, kw_only=True):
    """A synthetic person with the values of its rows in the database."""

    email: str
    name: str
    phone_number: str
    status: AccountStatus
    status_before: AccountStatus | None = None
    identifier_type: Literal["NIN", "NHS"] | None = None
    identifier_value: str | None = None
    utr: str | None = None


STANDARD_PEOPLE = (
    SyntheticPerson(
        email="citizen@example.com",
        name="Ada Ashworth",
        phone_number=DRAMA_PHONE.format(1),
        status=AccountStatus.VERIFIED,
        identifier_type="NHS",
        identifier_value="9990000018",
    ),
    SyntheticPerson(
        email="taxpayer@example.com",
        name="Ben Bevan",
        phone_number=DRAMA_PHONE.format(2),
        status=AccountStatus.VERIFIED,
        identifier_type="NIN",
        identifier_value="AA000003D",
        utr="1000057161",
    ),
    SyntheticPerson(
        email="pending@example.com",
        name="Carys Chaudhry",
        phone_number=DRAMA_PHONE.format(3),
        status=AccountStatus.PENDING,
        identifier_type="NIN",
        identifier_value="NA000799C",
    ),
    SyntheticPerson(
        email="failed@example.com",
        name="Dylan Drummond",
        phone_number=DRAMA_PHONE.format(4),
        status=AccountStatus.FAILED,
        identifier_type="NIN",
        identifier_value="ST281614D",
    ),
    SyntheticPerson(
        email="blocked@example.com",
        name="Esme Ellis",
        phone_number=DRAMA_PHONE.format(5),
        status=AccountStatus.BLOCKED,
        status_before=AccountStatus.VERIFIED,
        identifier_type="NIN",
        identifier_value="ZX000056A",
    ),
    SyntheticPerson(
        email="registered@example.com",
        name="Faisal Fraser",
        phone_number=DRAMA_PHONE.format(6),
        status=AccountStatus.REGISTERED,
    ),
)
"""The people of every demonstration: one for each account status."""


def generate_people(size: int, rng_seed: int) -> Iterator[SyntheticPerson]:
    """Yield *size* verified people; the same seed gives the same people."""
    rng = random.Random(rng_seed)  # noqa: S311 - repeatable on purpose, and not a secret
    for number in range(size):
        yield SyntheticPerson(
            email=f"citizen-{rng_seed}-{number}@example.com",
            name=f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}",
            phone_number=DRAMA_PHONE.format(rng.randrange(1000)),
            status=AccountStatus.VERIFIED,
            identifier_type="NHS",
            identifier_value=synthetic_nhs_number(rng),
        )


def synthetic_nhs_number(rng: random.Random) -> str:
    """Return an NHS number that is well-formed and never issued."""
    numbers = REGION_SYNTHETIC.ranges[0]
    while True:
        digits = f"{rng.randint(numbers.start, numbers.end) // 10:09d}"
        check = calculate_checksum(digits)
        if check is not None and check != _NO_CHECK_DIGIT:
            return f"{digits}{check}"
