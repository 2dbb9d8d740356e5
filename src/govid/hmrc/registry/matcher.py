"""What both of HMRC's contracts for a match have in common: who is asked about, and how it ends."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

import msgspec

from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.names import first_given_name, hmrc_spellings
from govid.hmrc.registry.protocol import Evidence


class NoMatch(Exception):
    """HMRC knows nobody of that description."""


class Deceased(Exception):
    """HMRC knows who it is, and that they have died."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked about, as HMRC writes names."""

    first: str
    last: str
    born: date
    nino: str

    @property
    def body(self) -> bytes:
        """The request's body, which both contracts share."""
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
        return "<Person>"


class Matcher(Protocol):
    """One of HMRC's contracts for a match."""

    method: str

    async def match(self, person: Person, correlation_id: str | None) -> Evidence:
        """Return on what the match rests.

        Raises:
            NoMatch: HMRC knows nobody like that.
            Deceased: they have died.
            UpstreamFailure: there is no answer that could be used, or it is about somebody else.
        """


def described(facts: ClaimedFacts, nino: str) -> Sequence[Person]:
    """Return the person whom *facts* describe: the first given name, and all family names.

    There is more than one where custom has two transcriptions of a name: HMRC may know either.

    Raises:
        ValueError: HMRC's form cannot carry a name, or one of the two is missing.
    """
    return [
        Person(first=first, last=last, born=facts.date_of_birth, nino=nino)
        for first in hmrc_spellings(first_given_name(facts.given_name or ""))
        for last in hmrc_spellings(" ".join(facts.family_name.split()))
    ]
