"""Whether a National Insurance number is the claimant's."""

from collections.abc import Mapping

from govid.bus import Delivery, Transaction
from govid.bus.contracts import HmrcVerificationCompleted, VerificationRequested
from govid.hmrc.registry.protocol import NinoVerifier, Outcome

ERRORS: Mapping[Outcome, str | None] = {
    Outcome.MATCH: None,
    Outcome.MISMATCH: "not_matched",
    Outcome.DECEASED: "not_verifiable",
    Outcome.WITHHELD: "not_verifiable",
}
"""Permanent codes. That somebody has died is told by nobody but a notice of death."""


class Verification:
    """Asks HMRC, and answers on its behalf."""

    def __init__(self, verifier: NinoVerifier) -> None:
        """Ask *verifier*."""
        self._verifier = verifier

    async def prepare(self, delivery: Delivery[VerificationRequested]) -> Outcome:
        """Ask HMRC."""
        return await self._verifier.verify(delivery.event.identifier_value)

    async def apply(
        self, tx: Transaction, delivery: Delivery[VerificationRequested], outcome: Outcome
    ) -> None:
        """Publish the answer."""
        request = delivery.event
        tx.emit(
            HmrcVerificationCompleted(
                user_id=request.user_id,
                identifier_type=request.identifier_type,
                is_verified=outcome is Outcome.MATCH,
                timestamp=tx.now,
                error=ERRORS[outcome],
            )
        )
