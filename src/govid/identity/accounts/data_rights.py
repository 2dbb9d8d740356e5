"""Data rights of an account holder: account closure with erasure, and data export."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

import msgspec

from govid.bus import (
    Clock,
    OperationContext,
    Principal,
    QuotaCounters,
    QuotaRule,
    RateExceeded,
    UnitOfWork,
)
from govid.bus.events import AccountClosed
from govid.identity.credentials.reauthentication import Reauthentication
from govid.identity.email.outgoing import EmailOutbox
from govid.identity.errors import ExportsBusy
from govid.identity.repository.accounts import PasswordAccountRepository
from govid.identity.repository.claimed_facts import ClaimedFactsRepository, StoredFacts
from govid.identity.repository.data_export import DataExportRepository
from govid.identity.repository.one_time_tokens import OneTimeTokens, TokenPurpose
from govid.identity.repository.outgoing_email import EmailKind
from govid.identity.repository.verification_attempts import (
    VerificationAttemptRepository,
    VerificationHistory,
)
from govid.identity.schemas import EventsView, ExportView
from govid.identity.sessions.management import SessionRevoker

CLOSURE_REASON = "account_closed"


class AccountClosure:
    """Closes accounts: erases personal data and ends sessions and tokens in one transaction.

    The address can be used again at once: it proves nothing, and it must be erased. A verified
    identifier stays reserved for a time, so that a thief of a session and a password cannot
    register it in another account at once. An unverified identifier is released at once, because
    a stranger may have claimed it. Stored events stay unchanged until the retention of the bus
    ends. The departments receive the event and handle their own data.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: PasswordAccountRepository,
        session_revoker: SessionRevoker,
        one_time_tokens: OneTimeTokens,
        reauthentication: Reauthentication,
        email_outbox: EmailOutbox,
        claimed_facts: ClaimedFactsRepository,
        attempts: VerificationAttemptRepository,
    ) -> None:
        """Close accounts whose holder confirms the password by *reauthentication*."""
        self._uow = uow
        self._accounts = accounts
        self._session_revoker = session_revoker
        self._one_time_tokens = one_time_tokens
        self._reauthentication = reauthentication
        self._email_outbox = email_outbox
        self._claimed_facts = claimed_facts
        self._attempts = attempts

    async def close(self, password: str, principal: Principal, context: OperationContext) -> None:
        """Close the principal's account. This cannot be undone.

        Raises:
            PasswordNotConfirmed: the password is not correct.
            LoginBusy: the queue for password hashing is full.
        """
        async with (
            self._reauthentication.require_password(principal, password, context) as proof,
            self._uow.begin(context) as tx,
        ):
            account = await self._reauthentication.confirm(tx, proof)
            # Security e-mails that are not sent yet stay: a thief may be closing the account.
            await self._email_outbox.delete_emails_with_links(tx, account.id)
            await self._email_outbox.notify(tx, EmailKind.ACCOUNT_CLOSED, account)
            await self._one_time_tokens.revoke(
                tx, account.id, TokenPurpose.RESET, TokenPurpose.EMAIL
            )
            await self._claimed_facts.delete(tx, [account.id])
            await self._attempts.detach_account(tx, account.id)
            await self._accounts.close(tx, account.id)
            await self._session_revoker.revoke_all(tx, account.id, reason=CLOSURE_REASON)
            tx.emit(AccountClosed(account_id=account.id, timestamp=tx.now))


HOUR_SECONDS = 3600
MAX_CONCURRENT_EXPORTS = 2
"""Exports that run in one process at a time: each holds one page of records in memory."""
WAIT_SECONDS = 5.0
"""How long a request waits for an export slot before it is rejected."""

ExportSections = Mapping[str, Callable[[UUID], AsyncIterator[Sequence[Mapping[str, Any]]]]]


class DataExportSource(Protocol):
    """The source of another module's data about an account. The gateway connects it."""

    def sections(self) -> ExportSections:
        """Return a stream for each kind of record, in pages; values are JSON-compatible."""


class ExportStream:
    """The chunks of one export; the first has been made already.

    Not a generator: closing a generator that was never iterated would not close the inner stream,
    and the export slot would stay taken.
    """

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None]) -> None:
        """Yield *first*, then *rest*."""
        self._first: bytes | None = first
        self._rest = rest

    def __aiter__(self) -> "ExportStream":
        """Return the stream itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._rest)

    async def aclose(self) -> None:
        """End the export, also before all chunks were read."""
        await self._rest.aclose()


class DataExport:
    """Streams the data export of an account: identity's rows and those of the departments.

    An export never contains a password or a token, or their hashes. It is encoded page by page, so
    that memory does not grow with the number of records.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        repository: DataExportRepository,
        claimed_facts: ClaimedFactsRepository,
        verification: VerificationHistory,
        departments: Mapping[str, DataExportSource],
        quotas: QuotaCounters,
        clock: Clock,
        *,
        event_days: float,
        max_per_hour: int,
    ) -> None:
        """Export data of *departments*, which are sources by name.

        *event_days* is the retention of events. An account may be exported *max_per_hour* times
        an hour; 0 is no limit.
        """
        self._uow = uow
        self._repository = repository
        self._claimed_facts = claimed_facts
        self._verification = verification
        self._departments = departments
        self._quotas = quotas
        self._clock = clock
        self._event_days = event_days
        self._max_per_hour = max_per_hour
        self._running: set[UUID] = set()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_EXPORTS)

    async def start(self, principal: Principal, context: OperationContext) -> ExportStream:
        """Return the JSON of `ExportView` in chunks, when an export slot is free.

        The slot is released when the stream ends, also if the client disconnects.

        Raises:
            RateExceeded: another export of the account runs in this process, or the hourly quota
                of the account is used.
            ExportsBusy: no slot became free within `WAIT_SECONDS`.
        """
        stream = self._stream(principal, context)
        # The first chunk is made here, so that an error is still a problem document.
        first = await anext(stream)
        return ExportStream(first, stream)

    async def _stream(
        self, principal: Principal, context: OperationContext
    ) -> AsyncGenerator[bytes, None]:
        account_id = principal.account_id
        async with self._export_slot(account_id):
            quota = QuotaRule.for_account("exports", account_id, self._max_per_hour, HOUR_SECONDS)
            await self._quotas.consume_separately(self._uow, context, quota)
            head, tail = await self._encode_own_data(account_id)
            yield head
            for number, (name, source) in enumerate(self._departments.items()):
                yield (b"," if number else b"") + msgspec.json.encode(name) + b":{"
                async for chunk in _encode_sections(source.sections(), account_id):
                    yield chunk
                yield b"}"
            yield tail

    @asynccontextmanager
    async def _export_slot(self, account_id: UUID) -> AsyncIterator[None]:
        if account_id in self._running:
            raise RateExceeded("An export of your data is running; please wait until it ends")
        self._running.add(account_id)
        try:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._slots.acquire()
            except TimeoutError:
                raise ExportsBusy from None
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._running.discard(account_id)

    async def _encode_own_data(self, account_id: UUID) -> tuple[bytes, bytes]:
        """Return the document before and after the records of the departments."""
        rows = await self._repository.fetch_account(account_id)
        view = ExportView(
            exported_at=self._clock.now(),
            account=rows.account,
            sessions=rows.sessions,
            letters=rows.outgoing_emails,
            links=rows.one_time_tokens,
            claimed=_build_claimed_section(await self._claimed_facts.fetch(account_id)),
            attempts=await self._verification.fetch_attempts(account_id),
            evidence=await self._verification.fetch_evidence(account_id),
            departments={},
            events=EventsView(
                kept_days=self._event_days,
                statement=(
                    "What happens is kept as events, some of which hold your identifier or an"
                    " appointment as it was asked for. They are never changed, leave after this"
                    " many days, and are not part of this export."
                ),
            ),
        )
        members = msgspec.structs.asdict(view)
        names = list(members)
        index = names.index("departments")
        before = {name: members[name] for name in names[:index]}
        after = {name: members[name] for name in names[index + 1 :]}
        head = msgspec.json.encode(before).removesuffix(b"}") + b',"departments":{'
        return head, b"}," + msgspec.json.encode(after).removeprefix(b"{")


async def _encode_sections(sections: ExportSections, account_id: UUID) -> AsyncIterator[bytes]:
    for number, (kind, stream) in enumerate(sections.items()):
        yield (b"," if number else b"") + msgspec.json.encode(kind) + b":["
        is_first = True
        async for page in stream(account_id):
            rows = msgspec.json.encode(page).removeprefix(b"[").removesuffix(b"]")
            yield rows if is_first else b"," + rows
            is_first = False
        yield b"]"


def _build_claimed_section(stored: StoredFacts | None) -> dict[str, Any] | None:
    if stored is None:
        return None
    facts = msgspec.structs.asdict(stored.facts)
    return {**facts, "claimed_at": stored.claimed_at, "confirmed_at": stored.confirmed_at}
