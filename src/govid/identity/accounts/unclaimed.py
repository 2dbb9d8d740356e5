"""Checks a new registration against earlier notices about its identifier."""

from uuid import UUID

from govid.bus import Transaction
from govid.bus.contracts import IdentifierType, ReviewOpened
from govid.identity.accounts.standing import told
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_event_kinds import Kind
from govid.identity.repository.holders import Holders
from govid.identity.repository.life_events import LifeEvents, Outcome

PRIOR_NOTICE_INDICATOR = "notice_before_registration"


class Precedents:
    """Checks each new claim of an identifier against the history of that identifier.

    If a notice of death is in force, either the notice or the identifier may be wrong. The account
    is therefore created and its holder may sign in, but it has a contra-indicator from the start
    and a review is opened.
    """

    def __init__(
        self, account_status: Holders, life_events: LifeEvents, digests: IdentifierDigests
    ) -> None:
        """Set contra-indicators in *account_status* by the history in *life_events*."""
        self._account_status = account_status
        self._life_events = life_events
        self._digests = digests

    async def consider(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        canonical_value: str,
    ) -> None:
        """Add a contra-indicator to the account if a notice of death is in force.

        The account has received the identifier in this transaction. A scheduled notice is assigned
        to this account and will block it at its effective time.
        """
        digest = self._digests.for_identifier(identifier_type, canonical_value)
        await self._life_events.lock_identifier(tx, digest)
        history = await self._life_events.about(tx, digest.current)
        if any(entry.outcome is Outcome.PARKED for entry in history):
            await self._life_events.hand_over(tx, digest.current, account_id)
        # A block for another reason does not mean that an earlier holder is dead.
        effective = (
            entry
            for entry in history
            if entry.outcome is not Outcome.PARKED and entry.kind is not Kind.BLOCK
        )
        last = next(effective, None)
        if last is None or last.kind is not Kind.DEATH:
            return
        await self._account_status.contra_indicate(tx, account_id, PRIOR_NOTICE_INDICATOR)
        review_id = await self._life_events.open_review(
            tx, last.id, PRIOR_NOTICE_INDICATOR, account_id
        )
        tx.emit(
            ReviewOpened(
                **{**told(tx, last), "account_id": account_id},
                review_id=review_id,
                reason=PRIOR_NOTICE_INDICATOR,
            )
        )
