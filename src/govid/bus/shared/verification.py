"""Identity verification by departments: the claim, the finding, its evidence, and the outage rule.

Not inside: the rules by which a department matches a claim, which are its own.
"""

from enum import StrEnum

import msgspec

from govid.bus.shared.errors import Outage
from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.privacy import RedactedStruct

NOT_MATCHED = "not_matched"
"""Permanent error code. It is the same for every reason, so that none can be distinguished."""


class VerificationOutcome(StrEnum):
    """Outcome of a verification.

    The first five are answers, and each uses one of the account's attempts. To the account holder
    all of them but the first look the same; only the NHS gives `restricted` and `incomplete`. The
    others are no answers: the claim has too few facts, the department is unavailable, or it rejects
    govid's credentials.
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
        """Whether the department has decided about the claim."""
        return not self.is_outage and self is not VerificationOutcome.INSUFFICIENT

    @property
    def is_outage(self) -> bool:
        """Whether the department is unavailable or rejects govid's credentials."""
        return self in {VerificationOutcome.UNAVAILABLE, VerificationOutcome.CREDENTIALS_REJECTED}


class IdentityClaim(RedactedStruct, frozen=True, kw_only=True):
    """An NHS or National Insurance number that an account holder claims, with claimed facts."""

    number: str
    facts: ClaimedFacts | None = None
    correlation_id: str | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence for an outcome, without personal data.

    `strength` and `validity` are scores from 0 to 4 (Good Practice Guide 45). `transaction` is the
    department's own id of the request or the match. A contra-indicator is a reason for doubt.
    """

    method: str
    strength: int
    validity: int
    transaction: str | None = None
    contra_indicators: tuple[str, ...] = ()


FORMAT_EVIDENCE = Evidence(method="form", strength=1, validity=1)
"""Weakest evidence: the number is well-formed."""


class VerificationFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a department. Expected failures are outcomes and not exceptions."""

    outcome: VerificationOutcome
    evidence: Evidence | None = None


def raise_for_outage(finding: VerificationFinding, department: str) -> None:
    """Do nothing, unless *finding* says that *department* could not decide about the claim.

    Raises:
        Outage: the department is unavailable or rejects govid's credentials. A handler that raises
            it is retried, and no verification attempt is used.
    """
    if finding.outcome.is_outage:
        raise Outage(department)
