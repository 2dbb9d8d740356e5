"""Declares the event subscriptions of the HMRC module."""

from collections.abc import Sequence

from govid.bus import Consumer
from govid.bus.contracts import (
    AccountBlocked,
    AccountClosed,
    AccountRestored,
    IdentifierType,
    VerificationRequested,
)
from govid.hmrc.erasure import Erasure
from govid.hmrc.verification import Verification
from govid.hmrc.withdrawal import Withdrawal

VERIFICATION = "hmrc.verification"
"""The subscriber whose deliveries wait while HMRC is unavailable."""


def consumers(
    verification: Verification, erasure: Erasure, withdrawal: Withdrawal
) -> Sequence[Consumer]:
    """Return the module's subscribers. Their names are stored, and never change (I10)."""
    return (
        Consumer(
            name=VERIFICATION,
            handles=(VerificationRequested,),
            wants=lambda event: event.identifier_type is IdentifierType.NIN,
            handler=verification,
        ),
        Consumer(name="hmrc.erasure", handles=(AccountClosed,), handler=erasure),
        Consumer(
            name="hmrc.consents",
            handles=(AccountBlocked, AccountClosed, AccountRestored),
            handler=withdrawal,
            grouped=False,
        ),
    )
