"""Login throttle with lockout, brute-force alarm and cleanup.

The statements of `repository.login_lockouts` decide whether an attempt starts a lockout.

An attempt is reserved before the work, and its result is recorded after it. A use case that checks
a secret does so in three steps:

    attempt, account = await throttle.begin(LoginFlow.LOGIN, address, context, read)
    async with throttle.release_if_busy(attempt, context):
        ...                                         # the slow check, without a connection
    async with uow.begin(context) as tx:            # with the other writes
        await throttle.record_failure(tx, attempt)  # or `record_success`, or `release`

If `attempt.is_locked`, the use case checks the secret against nothing and fails in any case. An
attempt without a recorded result counts as a failure after 30 seconds, so that a crashed process
allows no extra guess.

The brute-force alarm reports an account name whose lockouts amount to 100 failed attempts. Lockouts
are counted together if each starts within a day of the previous one. A right password resets the
number of failures, but not the number of lockouts.

Source: NIST SP 800-63B, 3.2.2, which requires a limit on consecutive failures. Here lockouts slow
guessing down, and none is permanent: otherwise anyone who knows an address could lock the account
holder out permanently.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import partial
from math import ceil
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec
from prometheus_client import CollectorRegistry, Counter

from govid.bus import (
    ErrorKind,
    GovidError,
    OperationContext,
    PseudonymGenerator,
    QuotaCounters,
    QuotaRule,
    Transaction,
    UnitOfWork,
)
from govid.bus.events import LoginLocked, LoginLockExpired
from govid.identity.errors import TooManyAttempts
from govid.identity.rate_limits.client_networks import client_network
from govid.identity.rate_limits.wait_queue import QueueFull, WaitQueue
from govid.identity.repository.login_lockouts import (
    AttemptReservation,
    AttemptSlot,
    LockoutLimits,
    LoginAttemptRepository,
)
from govid.identity.settings import ThrottleSettings

log = logging.getLogger(__name__)


FAILURES_PER_ALARM = 100


class BruteForceAlarm:
    """Counts lockouts of one account name and raises the brute-force alarm.

    The metric `govid_sieges` and the log event `throttle.siege` are permanent names of the alarm.
    """

    def __init__(
        self,
        failures: int,
        registry: CollectorRegistry | None = None,
        flows: Iterable[str] = (),
    ) -> None:
        """Expect a lockout after each *failures*; without *registry*, the metric is not exposed.

        The series of *flows* start at 0, because an alerting rule sees no increase in a series
        that has just appeared.
        """
        self._lockouts_per_alarm = ceil(FAILURES_PER_ALARM / failures)
        self._counter = Counter(
            "govid_sieges",
            "Brute-force alarms: account names with lockouts that amount to 100 failures.",
            ["flow"],
            registry=registry or CollectorRegistry(),
        )
        for flow in flows:
            self._counter.labels(flow)

    def on_lockout(self, tx: Transaction, flow: str, subject: str, lockout_number: int) -> None:
        """Count lockout *lockout_number* of *subject*, a pseudonym; report every 100 failures."""
        if lockout_number % self._lockouts_per_alarm == 0:
            tx.after_commit(partial(self._report, flow, subject))

    def _report(self, flow: str, subject: str) -> None:
        self._counter.labels(flow).inc()
        log.warning("throttle.siege", extra={"flow": flow, "subject": subject})


WAIT_SECONDS = 10.0
MAX_LOCKOUT_SECONDS = 24 * 3600
"""The maximum of the setting, because the number of earlier lockouts expires after a day."""
NETWORK_SECONDS = 900

T = TypeVar("T")


class LoginFlow(StrEnum):
    """A flow that checks a secret. Failures and lockouts are counted separately for each.

    The values are stored, published in events and used as metric labels.
    """

    LOGIN = "sign-in"
    RESET = "reset"
    REAUTHENTICATION = "reauthentication"


class LoginAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt, reserved before its work."""

    slot: AttemptSlot
    reserved_quotas: Sequence[QuotaRule]
    is_locked: bool

    @property
    def subject(self) -> str:
        """The pseudonym of the subject of `LoginThrottle.begin`; at login, of the account name."""
        return self.slot.bucket


class LoginThrottle:
    """Counts failed attempts by account name and client network, and emits lockout events.

    The lockout of an account name is decided by `LoginAttemptRepository`, in one statement for each
    step of an attempt.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        attempts: LoginAttemptRepository,
        quotas: QuotaCounters,
        settings: ThrottleSettings,
        pseudonyms: PseudonymGenerator,
        alarm: BruteForceAlarm,
        older_pseudonyms: Sequence[PseudonymGenerator] = (),
    ) -> None:
        """Count by *settings* under *pseudonyms*; durations are limited to a day.

        Counts under *older_pseudonyms*, made with earlier keys, are moved to the current ones.
        *alarm* is notified of each lockout.
        """
        self._uow = uow
        self._attempts = attempts
        self._quotas = quotas
        self._network_failures = settings.address_failures
        self._pseudonyms = pseudonyms
        self._alarm = alarm
        self._older_pseudonyms = older_pseudonyms
        self._queue = WaitQueue()
        max_lock_seconds = min(settings.max_lock_seconds, MAX_LOCKOUT_SECONDS)
        self._limits = LockoutLimits(
            failures=settings.failures,
            lock_seconds=min(settings.lock_seconds, max_lock_seconds),
            max_lock_seconds=max_lock_seconds,
        )

    async def begin(
        self,
        flow: LoginFlow,
        subject: str,
        context: OperationContext,
        read: Callable[[Transaction], Awaitable[T]],
        *,
        by_network: bool = False,
    ) -> tuple[LoginAttempt, T]:
        """Reserve an attempt for *subject*, a canonical address or an account id; return it.

        With *by_network*, each client network has a count of its own, so that a client that uses
        the address of another person locks out only itself.

        *read* runs in the same transaction, and its result is returned too. While so many other
        attempts for this subject are unfinished that their failures could cause a lockout, the
        attempt waits.

        Raises:
            TooManyAttempts: the client network has failed too often, or the wait was too long.
        """
        name = f"{subject}:{client_network(context.client_address)}" if by_network else subject
        bucket = self._pseudonyms.for_value(f"throttle:{name}")
        slot = AttemptSlot(flow=flow, bucket=bucket, ticket=uuid4().hex)
        network_quotas = self._network_quota(context)
        try:
            async with self._queue.wait_for_slot(_queue_key(slot), WAIT_SECONDS) as queue_slot:
                while True:
                    async with self._uow.begin(context) as tx:
                        await self._merge_older_buckets(tx, flow, bucket, name)
                        reservation = await self._reserve(tx, slot, network_quotas)
                        if reservation.verdict != "full":
                            attempt = LoginAttempt(
                                slot=slot,
                                reserved_quotas=network_quotas,
                                is_locked=reservation.verdict == "locked",
                            )
                            return attempt, await read(tx)
                        await self._quotas.confirm(tx, released=network_quotas)
                    await queue_slot.wait()
        except QueueFull:
            raise TooManyAttempts(retry_after_seconds=int(WAIT_SECONDS)) from None

    async def record_failure(
        self, tx: Transaction, attempt: LoginAttempt, account_id: UUID | None = None
    ) -> None:
        """Record a failure, which may start a lockout; *account_id* is None for an unknown account.

        If the row lock of the account is needed, it must be taken before this call.
        """
        await self._quotas.confirm(tx, consumed=attempt.reserved_quotas)
        lockout_number = await self._attempts.record_failure(
            tx, attempt.slot, self._limits, account_id
        )
        if lockout_number is not None:
            self._alarm.on_lockout(tx, attempt.slot.flow, attempt.subject, lockout_number)
            tx.emit(
                LoginLocked(
                    flow=attempt.slot.flow,
                    subject=attempt.subject,
                    account_id=account_id,
                    timestamp=tx.now,
                )
            )
        self._notify_queue(tx, attempt)

    async def record_success(self, tx: Transaction, attempt: LoginAttempt) -> None:
        """Record a success, which resets the number of failures."""
        await self._quotas.confirm(tx, released=attempt.reserved_quotas)
        await self._attempts.record_success(tx, attempt.slot)
        self._notify_queue(tx, attempt)

    async def release(self, tx: Transaction, attempt: LoginAttempt) -> None:
        """Release *attempt* uncounted: it was refused for a reason other than the secret."""
        await self._quotas.confirm(tx, released=attempt.reserved_quotas)
        await self._attempts.release(tx, attempt.slot)
        self._notify_queue(tx, attempt)

    async def lift_lockout(self, tx: Transaction, flow: LoginFlow, subject: str) -> None:
        """End the lockout of *subject*, a canonical address, and reset its number of failures.

        It is meant for an account holder who has been authenticated in another way. The number of
        lockouts is kept, so that the next one is as long as if this one had expired.
        """
        bucket = self._pseudonyms.for_value(f"throttle:{subject}")
        await self._merge_older_buckets(tx, flow, bucket, subject)
        lockout = await self._attempts.lift_lockout(tx, flow, bucket)
        if lockout is not None:
            tx.emit(
                LoginLockExpired(
                    flow=flow, subject=bucket, account_id=lockout.account_id, timestamp=tx.now
                )
            )
        tx.after_commit(partial(self._queue.notify, f"{flow}:{bucket}"))

    @asynccontextmanager
    async def release_if_busy(
        self, attempt: LoginAttempt, context: OperationContext
    ) -> AsyncIterator[None]:
        """Release *attempt* if the block fails because a resource is busy or unavailable."""
        try:
            yield
        except GovidError as refusal:
            if refusal.kind in (ErrorKind.BUSY, ErrorKind.UNAVAILABLE):
                async with self._uow.begin(context) as tx:
                    await self.release(tx, attempt)
            raise

    async def _merge_older_buckets(
        self, tx: Transaction, flow: LoginFlow, bucket: str, subject: str
    ) -> None:
        """Move counts under earlier pseudonym keys to *bucket*."""
        older_buckets = [
            pseudonyms.for_value(f"throttle:{subject}") for pseudonyms in self._older_pseudonyms
        ]
        if older_buckets:
            await self._attempts.merge_older(tx, flow, bucket, older_buckets)

    async def _reserve(
        self, tx: Transaction, slot: AttemptSlot, network_quotas: Sequence[QuotaRule]
    ) -> AttemptReservation:
        retry_after_seconds = await self._quotas.reserve(tx, network_quotas)
        if retry_after_seconds is not None:
            raise TooManyAttempts(retry_after_seconds=retry_after_seconds)
        reservation = await self._attempts.reserve(tx, slot, self._limits)
        if reservation.lockout_change == "began":
            self._alarm.on_lockout(tx, slot.flow, slot.bucket, reservation.lockout_number)
        if reservation.lockout_change is not None:
            event = LoginLocked if reservation.lockout_change == "began" else LoginLockExpired
            tx.emit(
                event(
                    flow=slot.flow,
                    subject=slot.bucket,
                    account_id=reservation.account_id,
                    timestamp=tx.now,
                )
            )
        return reservation

    def _network_quota(self, context: OperationContext) -> Sequence[QuotaRule]:
        """Return the failure quota of the client network, or nothing if it is not limited."""
        if not self._network_failures:
            return ()
        return (
            QuotaRule(
                kind="failures",
                bucket=self._pseudonyms.for_value(
                    f"address:{client_network(context.client_address)}"
                ),
                limit=self._network_failures,
                seconds=NETWORK_SECONDS,
            ),
        )

    def _notify_queue(self, tx: Transaction, attempt: LoginAttempt) -> None:
        tx.after_commit(partial(self._queue.notify, _queue_key(attempt.slot)))


def _queue_key(slot: AttemptSlot) -> str:
    return f"{slot.flow}:{slot.bucket}"


class ThrottleCleanup:
    """Expiry cleanup of lockouts, attempt counters and quotas."""

    def __init__(self, attempts: LoginAttemptRepository, quotas: QuotaCounters) -> None:
        """Clean up the rows of *attempts* and *quotas*."""
        self._attempts = attempts
        self._quotas = quotas

    async def release_expired(self, tx: Transaction, limit: int) -> int:
        """End at most *limit* expired lockouts that no attempt has ended; emit one event each."""
        lockouts = await self._attempts.release_expired(tx, limit)
        for lockout in lockouts:
            tx.emit(
                LoginLockExpired(
                    flow=lockout.flow,
                    subject=lockout.bucket,
                    account_id=lockout.account_id,
                    timestamp=tx.now,
                )
            )
        return len(lockouts)

    async def delete_stale(self, tx: Transaction, limit: int) -> int:
        """Delete at most *limit* unused rows of either kind; return the larger number."""
        attempts = await self._attempts.delete_stale(tx, limit)
        return max(attempts, await self._quotas.delete_expired(tx, limit))
