"""What govid asks of the NHS."""

from datetime import date
from enum import StrEnum
from typing import Protocol

import msgspec

from govid.bus.contracts import AppointmentRequested
from govid.bus.contracts.facts import ClaimedFacts
from govid.nhs.decision import Decision


class Outcome(StrEnum):
    """How a verification ends.

    The first five are answers, and each spends one of a citizen's attempts. All of them but the
    first look the same to the citizen. The others are no answers: the citizen has said too little,
    the registry is away, or it refuses govid's credentials.
    """

    MATCH = "match"
    MISMATCH = "mismatch"
    DECEASED = "deceased"
    RESTRICTED = "restricted"
    INCOMPLETE = "incomplete"
    INSUFFICIENT = "insufficient"
    UNAVAILABLE = "unavailable"
    CREDENTIALS_REJECTED = "credentials_rejected"

    @property
    def is_answer(self) -> bool:
        """Whether something was found out."""
        return self not in {
            Outcome.INSUFFICIENT,
            Outcome.UNAVAILABLE,
            Outcome.CREDENTIALS_REJECTED,
        }


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A number that somebody gives as their own, and what they say of themselves."""

    nhs_number: str
    facts: ClaimedFacts | None = None
    correlation_id: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Claim>"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A person in the registry's own words; the number may be newer than the one asked about."""

    nhs_number: str
    name: str
    born: date | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Holder>"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """On what an answer rests. It names nobody.

    `strength` and `validity` are scores from 0 to 4 (Good Practice Guide 45). `transaction` is the
    registry's own id of the exchange. A contra-indicator is a reason for doubt.
    """

    method: str
    strength: int
    validity: int
    transaction: str | None = None
    contra_indicators: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The registry's answer. A holder is named only to whom it was proved to be."""

    outcome: Outcome
    evidence: Evidence | None = None
    holder: Holder | None = None


class PatientRegistry(Protocol):
    """Knows who holds an NHS number. It never raises for what lies in its nature: see `Outcome`."""

    async def verify(self, claim: Claim) -> Finding:
        """Tell whether the number is the claimant's."""

    async def trace(self, facts: ClaimedFacts, correlation_id: str | None = None) -> Finding:
        """Find the one person whom *facts* describe; a holder is found, or it is no match."""


class AppointmentProvider(Protocol):
    """Decides about appointments."""

    async def book(self, wish: AppointmentRequested) -> Decision:
        """Decide about *wish*. Asked again about the same appointment, it answers the same.

        Raises:
            Outage: the provider is away; nothing is decided.
        """
