"""Defines the interfaces and value types of HMRC: verification, consent and tax records."""

from enum import StrEnum
from typing import Protocol

import msgspec

from govid.bus.contracts.facts import ClaimedFacts


class VerificationOutcome(StrEnum):
    """The outcome of a verification.

    The first three are answers, and each counts as one of a citizen's attempts. The others are not:
    too few facts are known, HMRC is unavailable, or it rejects govid's credentials.
    """

    MATCH = "match"
    MISMATCH = "mismatch"
    DECEASED = "deceased"
    INSUFFICIENT = "insufficient"
    UNAVAILABLE = "unavailable"
    CREDENTIALS_REJECTED = "credentials_rejected"

    @property
    def is_answer(self) -> bool:
        """Whether HMRC has answered."""
        return self in {
            VerificationOutcome.MATCH,
            VerificationOutcome.MISMATCH,
            VerificationOutcome.DECEASED,
        }


class IdentityClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A number that a citizen claims as their own, and the facts that they claim."""

    nino: str
    facts: ClaimedFacts | None = None
    correlation_id: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence behind an answer. It identifies no person.

    `strength` and `validity` are scores from 0 to 4 (Good Practice Guide 45). `transaction` is
    HMRC's own id of the exchange or of the match.
    """

    method: str
    strength: int
    validity: int
    transaction: str | None = None


class VerificationFinding(msgspec.Struct, frozen=True, kw_only=True):
    """HMRC's answer. Unlike the NHS, HMRC returns no data about a matched person."""

    outcome: VerificationOutcome
    evidence: Evidence | None = None


class NinoVerifier(Protocol):
    """Verifies National Insurance numbers.

    Every expected result, also an outage, is an outcome and not an exception.
    """

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:
        """Verify that the number belongs to the claimant."""
