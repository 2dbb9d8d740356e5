"""Login throttle with lockout: reserves an attempt before the work and records its result after it.

A use case that checks a secret does so in three steps:

    attempt, found = await throttle.begin(LoginFlow.SIGN_IN, address, cause, read)
    async with throttle.exempt(attempt, cause):
        ...                                         # the slow check, without a connection
    async with uow.begin(cause) as tx:              # with the other writes
        await throttle.record_failure(tx, attempt)  # or `record_success`, or `release`

If `attempt.is_locked`, the use case checks the secret against nothing and fails in any case. An
attempt without a recorded result counts as a failure after 30 seconds, so that a crashed process
allows no extra guess.
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
"""The maximum of the setting, because the number of earlier lockouts expires after a day."""
NETWORK_SECONDS = 900

T = TypeVar("T")


class Flow(StrEnum):
    """A flow that checks a secret. Failures and lockouts are counted separately for each."""

    SIGN_IN = "sign-in"
    RESET = "reset"
    REAUTHENTICATION = "reauthentication"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt, reserved before its work. `subject` is the pseudonym of the account name."""

    slot: Place
    held_quotas: Sequence[Quota]
    is_locked: bool

    @property
    def subject(self) -> str:
        """The pseudonym of the account name; the same in every flow."""
        return self.slot.bucket


class Throttle:
    """Counts failed attempts by account name and client network, and locks after too many."""

    def __init__(
        self,
        uow: UnitOfWork,
        attempts: Attempts,
        quotas: Quotas,
        settings: ThrottleSettings,
        pseudonyms: Pseudonyms,
        alarm: Sieges,
        older: Sequence[Pseudonyms] = (),
    ) -> None:
        """Count by *settings* under *pseudonyms*; durations are limited to a day.

        Counts under *older* pseudonyms, made with earlier keys, are moved to the current ones.
        *alarm* is notified of each lockout.
        """
        self._uow = uow
        self._attempts = attempts
        self._quotas = quotas
        self._network_failures = settings.address_failures
        self._pseudonyms = pseudonyms
        self._alarm = alarm
        self._older = older
        self._queue = Lines()
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
        """Reserve an attempt for *subject*, a canonical address or an account id; return it.

        With *by_network*, each client network has a count of its own, so that a client that uses
        the address of another person locks out only itself.

        *read* runs in the same transaction, and its result is returned too. While so many other
        attempts for this subject are unfinished that their failures could cause a lockout, the
        attempt waits.

        Raises:
            TooManyAttempts: the client network has failed too often, or the wait was too long.
        """
        name = f"{subject}:{network_of(cause.address)}" if by_network else subject
        bucket = self._pseudonyms.of(f"throttle:{name}")
        slot = Place(flow=flow, bucket=bucket, ticket=uuid4().hex)
        network = self._network_quota(cause)
        try:
            async with self._queue.standing(_queue_key(slot), WAIT_SECONDS) as turn:
                while True:
                    async with self._uow.begin(cause) as tx:
                        await self._adopt(tx, flow, bucket, name)
                        reserved = await self._reserve(tx, slot, network)
                        if reserved.verdict != "full":
                            attempt = Attempt(
                                slot=slot,
                                held_quotas=network,
                                is_locked=reserved.verdict == "locked",
                            )
                            return attempt, await read(tx)
                        await self._quotas.settle(tx, given_back=network)
                    await turn.wait()
        except TooLong:
            raise TooManyAttempts(retry_after_seconds=int(WAIT_SECONDS)) from None

    async def fail(self, tx: Transaction, attempt: Attempt, account_id: UUID | None = None) -> None:
        """Record a failure, which may start a lockout; *account_id* is None for an unknown account.

        If the row lock of the account is needed, it must be taken before this call.
        """
        await self._quotas.settle(tx, spent=attempt.held_quotas)
        lockout = await self._attempts.fail(tx, attempt.slot, self._limits, account_id)
        if lockout is not None:
            self._alarm.locked(tx, attempt.slot.flow, attempt.subject, lockout)
            tx.emit(
                LoginLocked(
                    flow=attempt.slot.flow,
                    subject=attempt.subject,
                    account_id=account_id,
                    timestamp=tx.now,
                )
            )
        self._notify_queue(tx, attempt)

    async def succeed(self, tx: Transaction, attempt: Attempt) -> None:
        """Record a success, which resets the number of failures."""
        await self._quotas.settle(tx, given_back=attempt.held_quotas)
        await self._attempts.succeed(tx, attempt.slot)
        self._notify_queue(tx, attempt)

    async def release(self, tx: Transaction, attempt: Attempt) -> None:
        """Release *attempt* uncounted: it was refused for a reason other than the secret."""
        await self._quotas.settle(tx, given_back=attempt.held_quotas)
        await self._attempts.release(tx, attempt.slot)
        self._notify_queue(tx, attempt)

    async def lift(self, tx: Transaction, flow: Flow, subject: str) -> None:
        """End the lockout of *subject*, a canonical address, and reset its number of failures.

        It is meant for an account holder who has been authenticated in another way. The number of
        lockouts is kept, so that the next one is as long as if this one had expired.
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
        tx.after_commit(partial(self._queue.move, f"{flow}:{bucket}"))

    @asynccontextmanager
    async def sparing(self, attempt: Attempt, cause: Cause) -> AsyncIterator[None]:
        """Release *attempt* if the block fails because a resource is busy or unavailable."""
        try:
            yield
        except GovidError as refusal:
            if refusal.kind in (Kind.BUSY, Kind.UNAVAILABLE):
                async with self._uow.begin(cause) as tx:
                    await self.release(tx, attempt)
            raise

    async def _adopt(self, tx: Transaction, flow: Flow, bucket: str, subject: str) -> None:
        """Move counts under earlier pseudonym keys to *bucket*."""
        if self._older:
            buckets = [older.of(f"throttle:{subject}") for older in self._older]
            await self._attempts.adopt(tx, flow, bucket, buckets)

    async def _reserve(self, tx: Transaction, slot: Place, network: Sequence[Quota]) -> Reserved:
        seconds = await self._quotas.hold(tx, network)
        if seconds is not None:
            raise TooManyAttempts(retry_after_seconds=seconds)
        reserved = await self._attempts.reserve(tx, slot, self._limits)
        if reserved.turn == "began":
            self._alarm.locked(tx, slot.flow, slot.bucket, reserved.locks)
        if reserved.turn is not None:
            event = LoginLocked if reserved.turn == "began" else LoginLockExpired
            tx.emit(
                event(
                    flow=slot.flow,
                    subject=slot.bucket,
                    account_id=reserved.account_id,
                    timestamp=tx.now,
                )
            )
        return reserved

    def _network_quota(self, cause: Cause) -> Sequence[Quota]:
        """Return the failure quota of the client network, or nothing if it is not limited."""
        if not self._network_failures:
            return ()
        return (
            Quota(
                kind="failures",
                bucket=self._pseudonyms.of(f"address:{network_of(cause.address)}"),
                most=self._network_failures,
                seconds=NETWORK_SECONDS,
            ),
        )

    def _notify_queue(self, tx: Transaction, attempt: Attempt) -> None:
        tx.after_commit(partial(self._queue.move, _queue_key(attempt.slot)))


def _queue_key(slot: Place) -> str:
    return f"{slot.flow}:{slot.bucket}"
