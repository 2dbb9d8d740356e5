"""What an operator may do to one account: look at its standing, block it, give it back."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from govid.bus import Cause, Transaction, UnitOfWork, rerun_on_conflict, uuid7
from govid.bus.contracts import IdentifierType
from govid.bus.shared.account_status import AccountStatus
from govid.bus.shared.identifiers import read_identity_key
from govid.identity.accounts.standing import Standing
from govid.identity.errors import (
    AccountIsBlockedAlready,
    AccountIsClosed,
    AccountIsNotBlocked,
    AccountNotFound,
    DeathStands,
    Fault,
)
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_event_kinds import Kind
from govid.identity.repository.holders import AccountStanding, Holders
from govid.identity.repository.life_events import Entry, LifeEvents, Word
from govid.identity.rules import canonical, email_address

_TICK = timedelta(microseconds=1)


class AccountReport(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with an account, and how that came.

    `death_stands` tells that a death was said of its holder, and that nobody has taken that back.
    """

    account: AccountStanding
    death_stands: bool
    history: Sequence[Entry]


class AccountDesk:
    """Where operators act on accounts. Each act is in the history, with who and why."""

    def __init__(
        self,
        uow: UnitOfWork,
        holders: Holders,
        events: LifeEvents,
        standing: Standing,
        digests: IdentifierDigests,
    ) -> None:
        """Act on *holders*, and write into *events*."""
        self._uow = uow
        self._holders = holders
        self._events = events
        self._standing = standing
        self._digests = digests

    @rerun_on_conflict
    async def find_by_email(self, text: str, cause: Cause) -> Sequence[UUID]:
        """Return the accounts with this address."""
        try:
            address = canonical(email_address(text))
        except Fault:
            return ()
        async with self._uow.begin(cause) as tx:
            return await self._holders.with_email(tx, address)

    @rerun_on_conflict
    async def find_by_identifier(self, text: str, cause: Cause) -> Sequence[UUID]:
        """Return the accounts that hold this identifier, of whichever kind it is.

        A National Insurance number may lack its last letter, which identifies no one else. There
        are several accounts only where they were opened before that was so.
        """
        for kind in IdentifierType:
            try:
                key = read_identity_key(kind, text, prototype_form=True)
            except ValueError:
                continue
            async with self._uow.begin(cause) as tx:
                return await self._holders.with_identity_key(tx, kind, key)
        return ()

    @rerun_on_conflict
    async def show(self, account_id: UUID, cause: Cause) -> AccountReport:
        """Return the account's standing and its history.

        Raises:
            AccountNotFound: there is none.
        """
        async with self._uow.begin(cause) as tx:
            account = await self._holders.show(tx, account_id)
            if account is None:
                raise AccountNotFound
            return AccountReport(
                account=account,
                death_stands=await self._events.death_stands(tx, account_id),
                history=await self._events.of(tx, account_id),
            )

    @rerun_on_conflict
    async def act(
        self,
        kind: Kind,
        account_id: UUID,
        *,
        reason: str,
        cause: Cause,
        reverse_death: bool = False,
    ) -> None:
        """Block the account or give it back; *cause* tells which operator does, *reason* why.

        The act is later than everything that is known of the account, also where a notice came
        from a clock that is ahead of ours: what a person decides now has an effect now. With
        *reverse_death* whoever gives it back also says that its holder is alive.

        Raises:
            AccountNotFound, AccountIsClosed, AccountIsBlockedAlready, AccountIsNotBlocked: there
                is nothing to do, and nothing was done.
            DeathStands: its holder is said to have died, whoever blocked it first.
        """
        async with self._uow.begin(cause) as tx:
            holder = await self._holders.lock_one(tx, account_id)
            if holder is None:
                raise AccountNotFound
            refuse(kind, holder.status)
            if kind is Kind.RESTORE and not reverse_death:
                await self._refuse_the_dead(tx, account_id)
            occurred_at = holder.read_at
            if holder.life_event_at is not None:
                occurred_at = max(occurred_at, holder.life_event_at + _TICK)
            digest = self._digests.for_holder(holder)
            word = Word(
                id=uuid7(),
                kind=kind,
                identifier_type=holder.identifier_type,
                identifier_digest=digest.current if digest else None,
                occurred_at=occurred_at,
                operator=cause.actor.id or cause.actor.kind,
                stated_reason=reason,
            )
            await self._standing.hear(tx, word, now=occurred_at, holder=holder)

    async def _refuse_the_dead(self, tx: Transaction, account_id: UUID) -> None:
        if await self._events.death_stands(tx, account_id):
            raise DeathStands


def refuse(kind: Kind, status: AccountStatus) -> None:
    """Refuse an act that would change nothing about an account of this *status*.

    Raises:
        AccountIsClosed, AccountIsBlockedAlready, AccountIsNotBlocked: it would not.
    """
    if status == AccountStatus.CLOSED:
        raise AccountIsClosed
    if kind is Kind.BLOCK and status == AccountStatus.BLOCKED:
        raise AccountIsBlockedAlready
    if kind is Kind.RESTORE and status != AccountStatus.BLOCKED:
        raise AccountIsNotBlocked
