"""What is held against a registration: notices that are older than it."""

from uuid import UUID

from govid.bus import Transaction
from govid.bus.contracts import IdentifierType, ReviewOpened
from govid.identity.accounts.standing import told
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_event_kinds import Kind
from govid.identity.repository.holders import Holders
from govid.identity.repository.life_events import LifeEvents, Outcome

INDICATOR = "notice_before_registration"


class Precedents:
    """Compares each new claim of an identifier with what is known of that identifier.

    Somebody who registers with a dead person's identifier may have typed it wrongly, or it was the
    notice that was wrong: the account opens and its holder may sign in. But it carries a
    contra-indicator from the first moment, and a person will look at it.
    """

    def __init__(self, holders: Holders, events: LifeEvents, digests: IdentifierDigests) -> None:
        """Mark *holders* by what *events* tell."""
        self._holders = holders
        self._events = events
        self._digests = digests

    async def consider(
        self,
        tx: Transaction,
        account_id: UUID,
        identifier_type: IdentifierType,
        canonical_value: str,
    ) -> None:
        """Mark the account, which *tx* has just given this identifier, if somebody died.

        A notice whose time has not come is about this account now, and will block it then.
        """
        digest = self._digests.for_identifier(identifier_type, canonical_value)
        await self._events.lock_identifier(tx, digest)
        history = await self._events.about(tx, digest.current)
        if any(entry.outcome is Outcome.PARKED for entry in history):
            await self._events.hand_over(tx, digest.current, account_id)
        # Who was blocked for another reason, and gave the identifier back, is not dead.
        settled = (
            entry
            for entry in history
            if entry.outcome is not Outcome.PARKED and entry.kind is not Kind.BLOCK
        )
        last = next(settled, None)
        if last is None or last.kind is not Kind.DEATH:
            return
        await self._holders.contra_indicate(tx, account_id, INDICATOR)
        review_id = await self._events.open_review(tx, last.id, INDICATOR, account_id)
        tx.emit(
            ReviewOpened(
                **{**told(tx, last), "account_id": account_id},
                review_id=review_id,
                reason=INDICATOR,
            )
        )
