"""Declares the event subscriptions of the HMRC module."""

from collections.abc import Sequence

from govid.bus import Subscriber
from govid.bus.contracts import (
    AccountBlocked,
    AccountClosed,
    AccountRestored,
    IdentifierType,
    VerificationRequested,
)
from govid.hmrc.erasure import DataErasure
from govid.hmrc.verification import VerificationHandler
from govid.hmrc.withdrawal import AccountStatusHandler

VERIFICATION_SUBSCRIBER = "hmrc.verification"
"""The subscriber whose deliveries wait while HMRC is unavailable."""


def build_subscribers(
    verification: VerificationHandler, erasure: DataErasure, withdrawal: AccountStatusHandler
) -> Sequence[Subscriber]:
    """Return the module's subscribers. Their names are stored, and never change (I10)."""
    return (
        Subscriber(
            name=VERIFICATION_SUBSCRIBER,
            handles=(VerificationRequested,),
            predicate=lambda event: event.identifier_type is IdentifierType.NIN,
            handler=verification,
        ),
        Subscriber(name="hmrc.erasure", handles=(AccountClosed,), handler=erasure),
        Subscriber(
            name="hmrc.consents",
            handles=(AccountBlocked, AccountClosed, AccountRestored),
            handler=withdrawal,
            grouped=False,
        ),
    )
