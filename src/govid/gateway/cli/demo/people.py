"""Synthetic people for the scenarios of `govid demo`. Each run creates new ones."""

import random
import secrets
from datetime import date
from typing import Any

import msgspec

from govid.bus.events import IdentifierType
from govid.gateway.dev.people import DRAMA_PHONE, FAMILY, GIVEN, synthetic_nhs_number

_PREFIXES = ("AA", "CE", "HT", "JY", "LR", "PX", "SB", "WM")
_BORN = (date(1940, 1, 1).toordinal(), date(2000, 1, 1).toordinal())
NO_ADDRESS_POSTCODE = "ZZ99 3VZ"
"""The postcode that the NHS uses for people of no known address."""


class DemoPerson(msgspec.Struct, kw_only=True):
    """A synthetic person of one scenario, with their account id and token once they have them."""

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
        """The body of a login request."""
        return {"email": self.email, "password": self.password}

    @property
    def registration(self) -> dict[str, str]:
        """The body of a registration request without claimed facts."""
        return {
            **self.credentials,
            "identifierType": self.identifier_type,
            "identifierValue": self.identifier_value,
            "phoneNumber": self.phone_number,
        }

    @property
    def claimed_facts(self) -> dict[str, str]:
        """The claimed facts of a registration or verification request."""
        return {
            "givenName": self.given_name,
            "familyName": self.family_name,
            "dateOfBirth": self.born.isoformat(),
            "postcode": self.postcode,
        }

    @property
    def department_record(self) -> dict[str, Any]:
        """The record that a simulated department stores of them."""
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
        """Show the account id only (I9)."""
        return f"<DemoPerson {self.id}>"


class DemoPeople:
    """Creates synthetic people."""

    def create_person(self, identifier_type: IdentifierType) -> DemoPerson:
        """Return a new person with an identifier of this type."""
        rng = random.SystemRandom()
        return DemoPerson(
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
            postcode=NO_ADDRESS_POSTCODE,
        )


def _nino(rng: random.Random) -> str:
    return f"{rng.choice(_PREFIXES)}{rng.randrange(10**6):06d}{rng.choice('ABCD')}"
