"""What govid asks of HMRC."""

from enum import StrEnum
from typing import Protocol

import msgspec

from govid.bus.contracts.facts import ClaimedFacts


class Outcome(StrEnum):
    """How a verification ends.

    The first three are answers, and each is one of a citizen's attempts. The others are none: too
    little is known, HMRC is away, or it does not let govid in.
    """

    MATCH = "match"
    MISMATCH = "mismatch"
    DECEASED = "deceased"
    INSUFFICIENT = "insufficient"
    UNAVAILABLE = "unavailable"
    CREDENTIALS_REJECTED = "credentials_rejected"

    @property
    def is_answer(self) -> bool:
        """Whether something was found out."""
        return self in {Outcome.MATCH, Outcome.MISMATCH, Outcome.DECEASED}


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A number that somebody gives as their own, and what they say of themselves."""

    nino: str
    facts: ClaimedFacts | None = None
    correlation_id: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Claim>"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """On what an answer rests. It names nobody.

    `strength` and `validity` are scores from 0 to 4 (Good Practice Guide 45). `transaction` is
    HMRC's own id of the exchange or of the match.
    """

    method: str
    strength: int
    validity: int
    transaction: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """HMRC's answer. Unlike the NHS it tells nothing about a person who was matched."""

    outcome: Outcome
    evidence: Evidence | None = None


class NinoVerifier(Protocol):
    """Knows who holds a National Insurance number.

    It never raises for what lies in its nature: see `Outcome`.
    """

    async def verify(self, claim: Claim) -> Finding:
        """Tell whether the number is the claimant's."""
