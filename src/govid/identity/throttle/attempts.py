"""Reserves an attempt before the work is done for it, and settles it afterwards.

A use case that checks a secret does so in three steps:

    attempt, found = await throttle.reserve(Flow.SIGN_IN, address, cause, read)
    async with throttle.sparing(attempt, cause):
        ...                                   # the slow check, without a connection
    async with uow.begin(cause) as tx:        # with whatever else commits
        await throttle.fail(tx, attempt)      # or `succeed`, or `release`

Where `attempt.is_locked`, the check is done on nothing, and fails whatever was shown. What nobody
settles is a failure after half a minute: a process that dies gives no guess away.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import partial
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec

from govid.bus import Cause, GovidError, Kind, Pseudonyms, Quota, Quotas, Transaction, UnitOfWork
from govid.bus.contracts import LoginLocked, LoginLockExpired
from govid.identity.errors import TooManyAttempts
from govid.identity.repository.throttle import Attempts, Limits, Place, Reserved
from govid.identity.settings import ThrottleSettings
from govid.identity.throttle.callers import network_of
from govid.identity.throttle.lines import Lines, TooLong
from govid.identity.throttle.sieges import Sieges

WAIT_SECONDS = 10.0
LONGEST_LOCK_SECONDS = 24 * 3600
"""No setting locks for longer: the count of locks is forgotten after a day."""
ADDRESS_SECONDS = 900

T = TypeVar("T")


class Flow(StrEnum):
    """What is tried. Each has its own count: who is locked out of one may use the others."""

    SIGN_IN = "sign-in"
    RESET = "reset"
    REAUTHENTICATION = "reauthentication"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that was counted before its work. `subject` says for whom, as a pseudonym."""

    place: Place
    held: Sequence[Quota]
    is_locked: bool

    @property
    def subject(self) -> str:
        """The pseudonym under which this person is counted, in every flow."""
        return self.place.bucket


class Throttle:
    """Counts attempts, and locks after too many of them."""

    def __init__(
        self,
        uow: UnitOfWork,
        attempts: Attempts,
        quotas: Quotas,
        settings: ThrottleSettings,
        pseudonyms: Pseudonyms,
        sieges: Sieges,
        older: Sequence[Pseudonyms] = (),
    ) -> None:
        """Count by *settings*, under *pseudonyms*; durations are clamped to a day.

        What was counted under *older* pseudonyms, of earlier keys, is found and moved.

        Each lock that begins is told to *sieges*.
        """
        self._uow = uow
        self._attempts = attempts
        self._quotas = quotas
        self._address_failures = settings.address_failures
        self._pseudonyms = pseudonyms
        self._sieges = sieges
        self._older = older
        self._lines = Lines()
        longest = min(settings.longest_lock_seconds, LONGEST_LOCK_SECONDS)
        self._limits = Limits(
            failures=settings.failures,
            lock_seconds=min(settings.lock_seconds, longest),
            longest_seconds=longest,
        )

    async def reserve(
        self,
        flow: Flow,
        subject: str,
        cause: Cause,
        read: Callable[[Transaction], Awaitable[T]],
        *,
        by_network: bool = False,
    ) -> tuple[Attempt, T]:
        """Reserve an attempt in the name of *subject*, a canonical address; return it.

        With *by_network* each client network has a count of its own: one that tries in another
        person's name locks out itself, and not that person.

        *read* runs in the same transaction; what it returns is returned too. While others try in
        this name, and might still fail, the attempt waits for them.

        Raises:
            TooManyAttempts: the caller's network has failed too often, or the wait was too long.
        """
        name = f"{subject}:{network_of(cause.address)}" if by_network else subject
        bucket = self._pseudonyms.of(f"throttle:{name}")
        place = Place(flow=flow, bucket=bucket, ticket=uuid4().hex)
        address = self._address(cause)
        try:
            async with self._lines.standing(_line(place), WAIT_SECONDS) as turn:
                while True:
                    async with self._uow.begin(cause) as tx:
                        await self._adopt(tx, flow, bucket, name)
                        reserved = await self._reserve(tx, place, address)
                        if reserved.verdict != "full":
                            attempt = Attempt(
                                place=place,
                                held=address,
                                is_locked=reserved.verdict == "locked",
                            )
                            return attempt, await read(tx)
                        await self._quotas.settle(tx, given_back=address)
                    await turn.wait()
        except TooLong:
            raise TooManyAttempts(retry_after_seconds=int(WAIT_SECONDS)) from None

    async def fail(self, tx: Transaction, attempt: Attempt, account_id: UUID | None = None) -> None:
        """Settle *attempt* as a failure, which may begin a lock. *account_id*: whose, if anybody's.

        Take the account's lock, where one is needed, before this.
        """
        await self._quotas.settle(tx, spent=attempt.held)
        lock = await self._attempts.fail(tx, attempt.place, self._limits, account_id)
        if lock is not None:
            self._sieges.locked(tx, attempt.place.flow, attempt.subject, lock)
            tx.emit(
                LoginLocked(
                    flow=attempt.place.flow,
                    subject=attempt.subject,
                    account_id=account_id,
                    timestamp=tx.now,
                )
            )
        self._move(tx, attempt)

    async def succeed(self, tx: Transaction, attempt: Attempt) -> None:
        """Settle *attempt* as a success: the failures before it are forgotten."""
        await self._quotas.settle(tx, given_back=attempt.held)
        await self._attempts.succeed(tx, attempt.place)
        self._move(tx, attempt)

    async def release(self, tx: Transaction, attempt: Attempt) -> None:
        """Settle *attempt* as none: it was refused for a reason that says nothing of a secret."""
        await self._quotas.settle(tx, given_back=attempt.held)
        await self._attempts.release(tx, attempt.place)
        self._move(tx, attempt)

    async def lift(self, tx: Transaction, flow: Flow, subject: str) -> None:
        """End the lock of *subject*, a canonical address, and forget the failures before it.

        For whoever has proved in another way who they are. How many locks there were is not
        forgotten: the next one is as long as if this one had ended by itself.
        """
        bucket = self._pseudonyms.of(f"throttle:{subject}")
        await self._adopt(tx, flow, bucket, subject)
        lifted = await self._attempts.lift(tx, flow, bucket)
        if lifted is not None:
            tx.emit(
                LoginLockExpired(
                    flow=flow, subject=bucket, account_id=lifted.account_id, timestamp=tx.now
                )
            )
        tx.after_commit(partial(self._lines.move, f"{flow}:{bucket}"))

    @asynccontextmanager
    async def sparing(self, attempt: Attempt, cause: Cause) -> AsyncIterator[None]:
        """Release *attempt* if the block is refused because somebody is busy or away."""
        try:
            yield
        except GovidError as refusal:
            if refusal.kind in (Kind.BUSY, Kind.UNAVAILABLE):
                async with self._uow.begin(cause) as tx:
                    await self.release(tx, attempt)
            raise

    async def _adopt(self, tx: Transaction, flow: Flow, bucket: str, subject: str) -> None:
        """Move what was counted under earlier keys to *bucket*."""
        if self._older:
            buckets = [older.of(f"throttle:{subject}") for older in self._older]
            await self._attempts.adopt(tx, flow, bucket, buckets)

    async def _reserve(self, tx: Transaction, place: Place, address: Sequence[Quota]) -> Reserved:
        seconds = await self._quotas.hold(tx, address)
        if seconds is not None:
            raise TooManyAttempts(retry_after_seconds=seconds)
        reserved = await self._attempts.reserve(tx, place, self._limits)
        if reserved.turn == "began":
            self._sieges.locked(tx, place.flow, place.bucket, reserved.locks)
        if reserved.turn is not None:
            event = LoginLocked if reserved.turn == "began" else LoginLockExpired
            tx.emit(
                event(
                    flow=place.flow,
                    subject=place.bucket,
                    account_id=reserved.account_id,
                    timestamp=tx.now,
                )
            )
        return reserved

    def _address(self, cause: Cause) -> Sequence[Quota]:
        """Return the budget of failures of the network that *cause* came from, if it has one."""
        if not self._address_failures:
            return ()
        return (
            Quota(
                kind="failures",
                bucket=self._pseudonyms.of(f"address:{network_of(cause.address)}"),
                most=self._address_failures,
                seconds=ADDRESS_SECONDS,
            ),
        )

    def _move(self, tx: Transaction, attempt: Attempt) -> None:
        tx.after_commit(partial(self._lines.move, _line(attempt.place)))


def _line(place: Place) -> str:
    return f"{place.flow}:{place.bucket}"
