"""The made-up people of `govid demo`: whom each story needs, nobody has been here before."""

import random
import secrets
from datetime import date
from typing import Any

import msgspec

from govid.bus.contracts import IdentifierType
from govid.gateway.devserver.people import DRAMA_PHONE, FAMILY, GIVEN, synthetic_nhs_number

_PREFIXES = ("AA", "CE", "HT", "JY", "LR", "PX", "SB", "WM")
_BORN = (date(1940, 1, 1).toordinal(), date(2000, 1, 1).toordinal())
NOWHERE = "ZZ99 3VZ"
"""The postcode that the NHS keeps for people who live at no known place."""


class Player(msgspec.Struct, kw_only=True):
    """The made-up person of one story."""

    email: str
    password: str
    identifier_type: IdentifierType
    identifier_value: str
    phone_number: str
    given_name: str
    family_name: str
    born: date
    postcode: str
    id: str = ""
    token: str = ""

    @property
    def credentials(self) -> dict[str, str]:
        """What they sign in with."""
        return {"email": self.email, "password": self.password}

    @property
    def identity(self) -> dict[str, str]:
        """What they register with."""
        return {
            **self.credentials,
            "identifierType": self.identifier_type,
            "identifierValue": self.identifier_value,
            "phoneNumber": self.phone_number,
        }

    @property
    def claims(self) -> dict[str, str]:
        """What they say of themselves, if they are asked."""
        return {
            "givenName": self.given_name,
            "familyName": self.family_name,
            "dateOfBirth": self.born.isoformat(),
            "postcode": self.postcode,
        }

    @property
    def record(self) -> dict[str, Any]:
        """What the department that owns their identifier knows of them."""
        if self.identifier_type is IdentifierType.NHS:
            return {
                "number": self.identifier_value,
                "given": [self.given_name],
                "family": self.family_name,
                "born": self.born.isoformat(),
                "postcode": self.postcode,
            }
        return {
            "nino": self.identifier_value,
            "first": self.given_name,
            "last": self.family_name,
            "born": self.born.isoformat(),
        }

    def __repr__(self) -> str:
        """Name the account only."""
        return f"<Player {self.id}>"


class Casting:
    """Makes people up."""

    def person(self, identifier_type: IdentifierType) -> Player:
        """Return somebody who has never been here."""
        rng = random.SystemRandom()
        return Player(
            email=f"demo-{secrets.token_hex(6)}@example.com",
            password=secrets.token_urlsafe(12),
            identifier_type=identifier_type,
            identifier_value=(
                synthetic_nhs_number(rng) if identifier_type is IdentifierType.NHS else _nino(rng)
            ),
            phone_number=DRAMA_PHONE.format(rng.randrange(1000)),
            given_name=rng.choice(GIVEN),
            family_name=rng.choice(FAMILY),
            born=date.fromordinal(rng.randrange(*_BORN)),
            postcode=NOWHERE,
        )


def _nino(rng: random.Random) -> str:
    return f"{rng.choice(_PREFIXES)}{rng.randrange(10**6):06d}{rng.choice('ABCD')}"
