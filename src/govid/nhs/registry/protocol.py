"""Declares the interfaces to the NHS: patient registry and appointment provider."""

from datetime import date
from enum import StrEnum
from typing import Protocol

import msgspec

from govid.bus.contracts import AppointmentRequested
from govid.bus.contracts.facts import ClaimedFacts
from govid.nhs.decision import AppointmentDecision


class VerificationOutcome(StrEnum):
    """Outcome of a verification.

    The first five are results, and each uses one of the account's attempts. To the account holder
    all of them but the first look the same. The others are no results: the claim has too few
    facts, the registry is unavailable, or it rejects govid's credentials.
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
        """Whether the registry has decided about the claim."""
        return self not in {
            VerificationOutcome.INSUFFICIENT,
            VerificationOutcome.UNAVAILABLE,
            VerificationOutcome.CREDENTIALS_REJECTED,
        }


class IdentityClaim(msgspec.Struct, frozen=True, kw_only=True):
    """An NHS number that an account holder claims, with the claimed facts."""

    nhs_number: str
    facts: ClaimedFacts | None = None
    correlation_id: str | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Claim>"


class RegisteredPatient(msgspec.Struct, frozen=True, kw_only=True):
    """Patient as recorded in the registry; the number may supersede the claimed one."""

    nhs_number: str
    name: str
    birth_date: date | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Holder>"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence for an outcome, without personal data.

    `strength` and `validity` are scores from 0 to 4 (Good Practice Guide 45). `transaction` is the
    registry's own id of the request. A contra-indicator is a reason for doubt.
    """

    method: str
    strength: int
    validity: int
    transaction: str | None = None
    contra_indicators: tuple[str, ...] = ()


class VerificationFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the registry. `patient` is set only if the claim was matched."""

    outcome: VerificationOutcome
    evidence: Evidence | None = None
    patient: RegisteredPatient | None = None


class PatientRegistry(Protocol):
    """Registry of patients. Expected failures are outcomes and not exceptions."""

    async def verify(self, claim: IdentityClaim) -> VerificationFinding:
        """Verify that the claimed number belongs to the claimant."""

    async def trace(
        self, facts: ClaimedFacts, correlation_id: str | None = None
    ) -> VerificationFinding:
        """Find the one patient who matches *facts*; a match names the patient."""


class AppointmentProvider(Protocol):
    """Decides appointment requests that name no slot."""

    async def book(self, request: AppointmentRequested) -> AppointmentDecision:
        """Decide *request*; repeating it for the same appointment gives the same decision.

        Raises:
            Outage: the provider is unavailable; nothing is decided.
        """
