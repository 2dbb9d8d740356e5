"""All that govid holds about an account, streamed to its holder."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

import msgspec

from govid.bus import Cause, Clock, Principal, Quota, Quotas, RateExceeded, UnitOfWork
from govid.identity.errors import ExportsBusy
from govid.identity.repository.export import Holdings
from govid.identity.repository.facts import Facts, KeptFacts
from govid.identity.repository.verification_attempts import VerificationHistory
from govid.identity.schemas import EventsView, ExportView

HOUR_SECONDS = 3600
EXPORTS_AT_ONCE = 2
"""How many exports one process makes at a time: each holds a page of records in memory."""
WAIT_SECONDS = 5.0
"""How long a request waits for others' exports before it is refused."""

Sections = Mapping[str, Callable[[UUID], AsyncIterator[Sequence[Mapping[str, Any]]]]]


class Records(Protocol):
    """What another module holds about an account. The gateway plugs it in."""

    def sections(self) -> Sections:
        """Return what streams each kind of record, in pages; values are what JSON can hold."""


class ExportStream:
    """The pieces of one export, the first of which has been made already.

    Not a generator: closing one that was never iterated would not close the stream behind it, and
    the place of the export would stay taken.
    """

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None]) -> None:
        """Yield *first*, then *rest*."""
        self._first: bytes | None = first
        self._rest = rest

    def __aiter__(self) -> "ExportStream":
        """Return the stream itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._rest)

    async def aclose(self) -> None:
        """End the export, whether or not all pieces were taken."""
        await self._rest.aclose()


class Export:
    """Streams what is held about an account: its own rows, and those of the departments.

    An export never contains a password or token, or what either is made from. It may be large,
    so it is encoded page by page: memory does not grow with the number of records.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        holdings: Holdings,
        facts: Facts,
        verification: VerificationHistory,
        departments: Mapping[str, Records],
        counters: Quotas,
        clock: Clock,
        *,
        event_days: float,
        most_per_hour: int,
    ) -> None:
        """Ask *departments*, by name. Events are kept for *event_days*.

        An account may be exported *most_per_hour* times; 0 is no limit.
        """
        self._uow = uow
        self._holdings = holdings
        self._facts = facts
        self._verification = verification
        self._departments = departments
        self._counters = counters
        self._clock = clock
        self._event_days = event_days
        self._most_per_hour = most_per_hour
        self._running: set[UUID] = set()
        self._places = asyncio.Semaphore(EXPORTS_AT_ONCE)

    async def start(self, principal: Principal, cause: Cause) -> ExportStream:
        """Return the JSON of `ExportView` in pieces, once there is a place for it.

        The place is given back when the stream ends, also when the client has gone.

        Raises:
            RateExceeded: another export of the account is under way in this process, or there
                were too many in this hour.
            ExportsBusy: too many exports of others are under way.
        """
        stream = self._stream(principal, cause)
        # The first piece is made here, so that a refusal is still a problem document.
        first = await anext(stream)
        return ExportStream(first, stream)

    async def _stream(self, principal: Principal, cause: Cause) -> AsyncGenerator[bytes, None]:
        account_id = principal.account_id
        async with self._place(account_id):
            await self._count(account_id, cause)
            head, tail = await self._own_part(account_id)
            yield head
            for number, (name, records) in enumerate(self._departments.items()):
                yield (b"," if number else b"") + msgspec.json.encode(name) + b":{"
                async for piece in _encode_sections(records.sections(), account_id):
                    yield piece
                yield b"}"
            yield tail

    @asynccontextmanager
    async def _place(self, account_id: UUID) -> AsyncIterator[None]:
        if account_id in self._running:
            raise RateExceeded("An export of your data is under way; please wait until it ends")
        self._running.add(account_id)
        try:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._places.acquire()
            except TimeoutError:
                raise ExportsBusy from None
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._running.discard(account_id)

    async def _count(self, account_id: UUID, cause: Cause) -> None:
        if not self._most_per_hour:
            return
        async with self._uow.begin(cause) as tx:
            await self._counters.spend(
                tx,
                Quota(
                    kind="exports",
                    bucket=str(account_id),
                    most=self._most_per_hour,
                    seconds=HOUR_SECONDS,
                ),
            )

    async def _own_part(self, account_id: UUID) -> tuple[bytes, bytes]:
        """Return the document up to the departments' records, and from behind them."""
        held = await self._holdings.of(account_id)
        view = ExportView(
            exported_at=self._clock.now(),
            account=held.account,
            sessions=held.sessions,
            letters=held.letters,
            links=held.links,
            claimed=_claimed(await self._facts.kept(account_id)),
            attempts=await self._verification.attempts(account_id),
            evidence=await self._verification.evidence(account_id),
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
        at = names.index("departments")
        before = {name: members[name] for name in names[:at]}
        behind = {name: members[name] for name in names[at + 1 :]}
        head = msgspec.json.encode(before).removesuffix(b"}") + b',"departments":{'
        return head, b"}," + msgspec.json.encode(behind).removeprefix(b"{")


async def _encode_sections(sections: Sections, account_id: UUID) -> AsyncIterator[bytes]:
    for number, (kind, stream) in enumerate(sections.items()):
        yield (b"," if number else b"") + msgspec.json.encode(kind) + b":["
        is_first = True
        async for page in stream(account_id):
            rows = msgspec.json.encode(page).removeprefix(b"[").removesuffix(b"]")
            yield rows if is_first else b"," + rows
            is_first = False
        yield b"]"


def _claimed(kept: KeptFacts | None) -> dict[str, Any] | None:
    if kept is None:
        return None
    said = msgspec.structs.asdict(kept.facts)
    return {**said, "claimed_at": kept.claimed_at, "confirmed_at": kept.confirmed_at}
