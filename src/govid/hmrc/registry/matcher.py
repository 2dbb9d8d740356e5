"""Defines the request and the results that HMRC's two matching APIs share."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

import msgspec

from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.names import first_given_name, hmrc_spellings
from govid.hmrc.registry.protocol import Evidence


class NoMatch(Exception):
    """HMRC knows no person with these details."""


class PersonDeceased(Exception):
    """HMRC knows the person, who has died."""


class PersonDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The details to match, with names as HMRC writes them."""

    first: str
    last: str
    born: date
    nino: str

    @property
    def body(self) -> bytes:
        """The request body, which both APIs share."""
        return msgspec.json.encode(
            {
                "firstName": self.first,
                "lastName": self.last,
                "dateOfBirth": self.born.isoformat(),
                "nino": self.nino,
            }
        )

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class PersonMatcher(Protocol):
    """Client of one of HMRC's matching APIs."""

    method: str

    async def match(self, person: PersonDetails, correlation_id: str | None) -> Evidence:
        """Return the evidence of a match.

        Raises:
            NoMatch: HMRC knows no person with these details.
            PersonDeceased: the person has died.
            UpstreamFailure: there is no usable response, or it is about another person.
        """


def describe_person(facts: ClaimedFacts, nino: str) -> Sequence[PersonDetails]:
    """Return the details to match for *facts*: the first given name, and all family names.

    A name with two customary transcriptions gives several: HMRC may know either.

    Raises:
        ValueError: HMRC's form cannot represent a name, or one of the two names is missing.
    """
    return [
        PersonDetails(first=first, last=last, born=facts.date_of_birth, nino=nino)
        for first in hmrc_spellings(first_given_name(facts.given_name or ""))
        for last in hmrc_spellings(" ".join(facts.family_name.split()))
    ]
