"""Account administration by operators.

Shows, blocks and restores an account, resets its verification attempts, and samples the number
of open reviews.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from prometheus_client import CollectorRegistry, Gauge

from govid.bus import Database, OperationContext, Transaction, UnitOfWork, rerun_on_conflict, uuid7
from govid.bus.events import IdentifierType, VerificationAttemptsForgiven
from govid.bus.shared.contract import AccountStatus
from govid.bus.shared.identifiers import parse_identity_key
from govid.identity.errors import (
    AccountIsBlockedAlready,
    AccountIsClosed,
    AccountIsNotBlocked,
    AccountNotFound,
    DeathNoticeInForce,
    FieldError,
    NoAttemptsUsed,
)
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.life_events.service import AccountStatusService
from govid.identity.repository.account_status import (
    AccountHolder,
    AccountStatusRepository,
    AccountStatusView,
)
from govid.identity.repository.life_events import LifeEventEntry, LifeEventRepository, Notice
from govid.identity.repository.verification_attempts import VerificationAttemptRepository
from govid.identity.validation import canonical_email, normalise_email

_TICK = timedelta(microseconds=1)


class AccountReport(msgspec.Struct, frozen=True, kw_only=True):
    """The status of an account and its history.

    `has_death_notice` is true if a notice of death is in force, that is, has not been reversed.
    """

    account: AccountStatusView
    has_death_notice: bool
    history: Sequence[LifeEventEntry]


class AccountAdministration:
    """Operator actions on accounts. The history stores each with its operator and reason."""

    def __init__(
        self,
        uow: UnitOfWork,
        account_status: AccountStatusRepository,
        life_events: LifeEventRepository,
        status_service: AccountStatusService,
        digests: IdentifierDigests,
    ) -> None:
        """Change accounts in *account_status* and write the history to *life_events*."""
        self._uow = uow
        self._account_status = account_status
        self._life_events = life_events
        self._status_service = status_service
        self._digests = digests

    @rerun_on_conflict
    async def find_by_email(self, text: str, context: OperationContext) -> Sequence[UUID]:
        """Return the accounts with this address."""
        try:
            address = canonical_email(normalise_email(text))
        except FieldError:
            return ()
        async with self._uow.begin(context) as tx:
            return await self._account_status.fetch_by_email(tx, address)

    @rerun_on_conflict
    async def find_by_identifier(self, text: str, context: OperationContext) -> Sequence[UUID]:
        """Return the accounts that have this identifier, of either type.

        The last letter of a National Insurance number may be missing, because it does not
        distinguish two people. Several accounts are found only if they were registered before
        govid compared numbers without the last letter.
        """
        for kind in IdentifierType:
            try:
                key = parse_identity_key(kind, text, accept_prototype_nhs=True)
            except ValueError:
                continue
            async with self._uow.begin(context) as tx:
                return await self._account_status.fetch_by_identifier(tx, kind, key)
        return ()

    @rerun_on_conflict
    async def fetch_report(self, account_id: UUID, context: OperationContext) -> AccountReport:
        """Return the account's status and history.

        Raises:
            AccountNotFound: there is no such account.
        """
        async with self._uow.begin(context) as tx:
            account = await self._account_status.fetch_status(tx, account_id)
            if account is None:
                raise AccountNotFound
            return AccountReport(
                account=account,
                has_death_notice=await self._life_events.has_death_notice(tx, account_id),
                history=await self._life_events.fetch_for_account(tx, account_id),
            )

    @rerun_on_conflict
    async def change_status(
        self,
        kind: LifeEventKind,
        account_id: UUID,
        *,
        reason: str,
        context: OperationContext,
        reverse_death: bool = False,
    ) -> None:
        """Block or restore the account; the operator is the actor of *context*.

        The event time of the action is later than that of all stored notices, even if a notice
        came from a clock that is ahead. So the decision of an operator takes effect now. With
        *reverse_death* the operator also states that the account holder is alive.

        Raises:
            AccountNotFound: there is no such account.
            AccountIsClosed, AccountIsBlockedAlready, AccountIsNotBlocked: the action would change
                nothing.
            DeathNoticeInForce: *reverse_death* is false and a notice of death is in force, even if
                an operator blocked the account first.
        """
        async with self._uow.begin(context) as tx:
            holder = await self._account_status.lock_account(tx, account_id)
            if holder is None:
                raise AccountNotFound
            require_status_change(kind, holder.status)
            if kind is LifeEventKind.RESTORE and not reverse_death:
                await self._require_no_death_notice(tx, account_id)
            occurred_at = holder.read_at
            if holder.life_event_at is not None:
                occurred_at = max(occurred_at, holder.life_event_at + _TICK)
            digest = self._digests.for_holder(holder)
            notice = Notice(
                id=uuid7(),
                kind=kind,
                identifier_type=holder.identifier_type,
                identifier_digest=digest.current if digest else None,
                occurred_at=occurred_at,
                operator=context.actor.id or context.actor.kind,
                stated_reason=reason,
            )
            await self._status_service.apply_notice(tx, notice, now=occurred_at, holder=holder)

    async def _require_no_death_notice(self, tx: Transaction, account_id: UUID) -> None:
        if await self._life_events.has_death_notice(tx, account_id):
            raise DeathNoticeInForce


def require_status_change(kind: LifeEventKind, status: AccountStatus) -> None:
    """Refuse an operator action that would not change an account of this *status*.

    Raises:
        AccountIsClosed, AccountIsBlockedAlready, AccountIsNotBlocked: the action would change
            nothing.
    """
    if status == AccountStatus.CLOSED:
        raise AccountIsClosed
    if kind is LifeEventKind.BLOCK and status == AccountStatus.BLOCKED:
        raise AccountIsBlockedAlready
    if kind is LifeEventKind.RESTORE and status != AccountStatus.BLOCKED:
        raise AccountIsNotBlocked


class UsedAttempts(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of used verification attempts: of the account, and of its identifier.

    Attempts for the identifier count whichever account made them. An attempt of this account for
    this identifier counts in both numbers.
    """

    status: AccountStatus
    by_account: int
    for_identifier: int


class AttemptReset:
    """Resets the used attempts of an account and of its identifier.

    Two failed attempts block an identifier for all accounts, including that of its rightful
    holder. An operator must be able to reset attempts that another person or a typing error has
    used. Stored evidence stays, and an attempt without a result yet stays counted. A closed account
    that still has its identifier can be used to select the identifier.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        account_status: AccountStatusRepository,
        attempts: VerificationAttemptRepository,
        digests: IdentifierDigests,
    ) -> None:
        """Reset the counts in *attempts*; *account_status* locks the account."""
        self._uow = uow
        self._account_status = account_status
        self._attempts = attempts
        self._digests = digests

    @rerun_on_conflict
    async def preview(self, account_id: UUID, context: OperationContext) -> UsedAttempts:
        """Return the numbers of used attempts; change nothing.

        Raises:
            AccountNotFound: there is no such account.
        """
        async with self._uow.begin(context) as tx:
            holder = await self._lock(tx, account_id)
            return await self._count_used(tx, holder)

    @rerun_on_conflict
    async def reset(
        self, account_id: UUID, *, reason: str, context: OperationContext
    ) -> UsedAttempts:
        """Reset all used attempts and return their numbers before the reset.

        The event names the operator, who is the actor of *context*, and the *reason*.

        Raises:
            AccountNotFound: there is no such account.
            NoAttemptsUsed: no attempt has been used.
        """
        async with self._uow.begin(context) as tx:
            holder = await self._lock(tx, account_id)
            used = await self._count_used(tx, holder)
            reset_count = await self._attempts.reset_used(
                tx, account_id, self._digests.for_holder(holder)
            )
            if not reset_count:
                raise NoAttemptsUsed
            tx.emit(
                VerificationAttemptsForgiven(
                    account_id=account_id,
                    attempts=reset_count,
                    operator=context.actor.id or context.actor.kind,
                    stated_reason=reason,
                    timestamp=tx.now,
                )
            )
            return used

    async def _lock(self, tx: Transaction, account_id: UUID) -> AccountHolder:
        holder = await self._account_status.lock_account(tx, account_id)
        if holder is None:
            raise AccountNotFound
        return holder

    async def _count_used(self, tx: Transaction, holder: AccountHolder) -> UsedAttempts:
        used_by_account, used_for_identifier = await self._attempts.count_used(
            tx, holder.account_id, self._digests.for_holder(holder)
        )
        return UsedAttempts(
            status=holder.status, by_account=used_by_account, for_identifier=used_for_identifier
        )


REVIEW_SAMPLE_SECONDS = 60.0
"""The gauge is sampled, because an immediate counter would reveal which registration used the
identifier of a person who was reported dead."""
MAX_COUNTED_REVIEWS = 10_000
"""Largest number that is counted. More open reviews raise the same alarm."""

_COUNT_OPEN_REVIEWS = """
SELECT count(*) FROM (SELECT FROM identity.review_item WHERE state = 'open' LIMIT $1) AS found
"""


class OpenReviewGauge:
    """Samples the number of open reviews, at most `MAX_COUNTED_REVIEWS`."""

    def __init__(self, database: Database, registry: CollectorRegistry | None = None) -> None:
        """Register the gauge in *registry*, or in a private registry if None."""
        self._database = database
        self._gauge = Gauge(
            "govid_reviews_open",
            "Reviews that wait for a person, sampled once a minute; at most 10,000.",
            registry=registry or CollectorRegistry(),
        )

    async def sample(self) -> None:
        """Read the number once."""
        self._gauge.set(
            await self._database.reads.fetchval(_COUNT_OPEN_REVIEWS, MAX_COUNTED_REVIEWS)
        )
