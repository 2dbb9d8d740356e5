"""Login rate limits on a real database."""

from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from govid.bus import Database, PseudonymGenerator, QuotaCounters, Transaction, UnitOfWork
from govid.bus.shared.context import OperationContext
from govid.identity.rate_limits.attempts import (
    BruteForceAlarm,
    LoginAttempt,
    LoginFlow,
    LoginThrottle,
)
from govid.identity.repository.login_lockouts import LoginAttemptRepository
from govid.identity.settings import ThrottleSettings
from tests.integration.identity.conftest import CONTEXT, build_uow

ADA = "ada@example.com"


async def nothing(_: Transaction) -> None:
    """Read nothing."""


class RateLimitFixture(msgspec.Struct, frozen=True, kw_only=True):
    """Rate limits with their database, as a login uses them."""

    database: Database
    uow: UnitOfWork
    limits: LoginThrottle
    registry: CollectorRegistry

    async def reserve(
        self,
        subject: str = ADA,
        flow: LoginFlow = LoginFlow.LOGIN,
        context: OperationContext = CONTEXT,
    ) -> LoginAttempt:
        attempt, _ = await self.limits.begin(flow, subject, context, nothing)
        return attempt

    async def fail(self, attempt: LoginAttempt) -> None:
        async with self.uow.begin(CONTEXT) as tx:
            await self.limits.record_failure(tx, attempt)

    async def succeed(self, attempt: LoginAttempt) -> None:
        async with self.uow.begin(CONTEXT) as tx:
            await self.limits.record_success(tx, attempt)

    async def release(self, attempt: LoginAttempt) -> None:
        async with self.uow.begin(CONTEXT) as tx:
            await self.limits.release(tx, attempt)

    async def lift(self, subject: str = ADA) -> None:
        async with self.uow.begin(CONTEXT) as tx:
            await self.limits.lift_lockout(tx, LoginFlow.LOGIN, subject)

    async def attempt_wrongly(
        self, subject: str = ADA, flow: LoginFlow = LoginFlow.LOGIN, **context: Any
    ) -> bool:
        """Try and fail; tell whether the attempt was looked at, and not just locked out."""
        attempt = await self.reserve(subject, flow, msgspec.structs.replace(CONTEXT, **context))
        await self.fail(attempt)
        return not attempt.is_locked

    async def attempt_wrongly_times(self, times: int, subject: str = ADA) -> list[bool]:
        return [await self.attempt_wrongly(subject) for _ in range(times)]

    async def row(self) -> dict[str, Any]:
        """Return the one row of attempts there is."""
        (row,) = await self.database.reads.fetch("SELECT * FROM identity.throttle")
        return dict(row)

    async def count_buckets(self) -> int:
        """Return how many rows of attempts there are."""
        found: int = await self.database.reads.fetchval("SELECT count(*) FROM identity.throttle")
        return found

    async def pass_time(self, seconds: float) -> None:
        """Let the rows be so much older."""
        await self.database.reads.execute(
            """
            UPDATE identity.throttle SET
                locked_at = locked_at - make_interval(secs => $1),
                locked_until = locked_until - make_interval(secs => $1),
                touched_at = touched_at - make_interval(secs => $1),
                pending = (SELECT coalesce(jsonb_object_agg(k, v::numeric - $1::numeric), '{}')
                           FROM jsonb_each(pending) AS each (k, v))
            """,
            seconds,
        )
        await self.database.reads.execute(
            "UPDATE identity.quota SET ends_at = ends_at - make_interval(secs => $1)", seconds
        )

    async def events(self) -> list[str]:
        rows = await self.database.reads.fetch("SELECT type FROM bus.event ORDER BY pos")
        return [row["type"].removeprefix("identity.login.") for row in rows]


def open_limiter(database: Database, **settings: Any) -> RateLimitFixture:
    uow, limits, registry = build_uow(database), ThrottleSettings(**settings), CollectorRegistry()
    alarm = BruteForceAlarm(limits.failures, registry)
    throttle = LoginThrottle(
        uow,
        LoginAttemptRepository(),
        QuotaCounters("identity.quota"),
        limits,
        PseudonymGenerator(b"k" * 32),
        alarm,
    )
    return RateLimitFixture(database=database, uow=uow, limits=throttle, registry=registry)


@pytest.fixture
async def limiter(database: Database) -> RateLimitFixture:
    """Return rate limits with the default settings."""
    return open_limiter(database)
