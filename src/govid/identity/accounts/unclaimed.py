"""Checks a new registration against earlier notices about its identifier."""

from uuid import UUID

from govid.bus import Transaction
from govid.bus.contracts import IdentifierType, ReviewOpened
from govid.identity.accounts.standing import notice_fields
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.repository.holders import AccountStatusRepository
from govid.identity.repository.life_events import LifeEventRepository, NoticeOutcome

PRIOR_NOTICE_INDICATOR = "notice_before_registration"


class PriorNoticeCheck:
    """Checks each new claim of an identifier against the history of that identifier.

    If a notice of death is in force, either the notice or the identifier may be wrong. The account
    is therefore created and its holder may sign in, but it has a contra-indicator from the start
    and a review is opened.
    """

    def __init__(
        self,
        account_status: AccountStatusRepository,
        life_events: LifeEventRepository,
        digests: IdentifierDigests,
    ) -> None:
        """Set contra-indicators in *account_status* by the history in *life_events*."""
        self._account_status = account_status
        self._life_events = life_events
        self._digests = digests

    async def run(
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
        history = await self._life_events.fetch_for_identifier(tx, digest.current)
        if any(entry.outcome is NoticeOutcome.PARKED for entry in history):
            await self._life_events.assign_scheduled(tx, digest.current, account_id)
        # A block for another reason does not mean that an earlier holder is dead.
        effective = (
            entry
            for entry in history
            if entry.outcome is not NoticeOutcome.PARKED and entry.kind is not LifeEventKind.BLOCK
        )
        last = next(effective, None)
        if last is None or last.kind is not LifeEventKind.DEATH:
            return
        await self._account_status.add_contra_indicator(tx, account_id, PRIOR_NOTICE_INDICATOR)
        review_id = await self._life_events.open_review(
            tx, last.id, PRIOR_NOTICE_INDICATOR, account_id
        )
        tx.emit(
            ReviewOpened(
                **{**notice_fields(tx, last), "account_id": account_id},
                review_id=review_id,
                reason=PRIOR_NOTICE_INDICATOR,
            )
        )
