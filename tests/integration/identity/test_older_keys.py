"""What was written under an earlier pseudonym key is found under the present one, and rewritten."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from govid.bus import Database, PseudonymGenerator, QuotaCounters, Transaction, uuid7
from govid.bus.events import IdentifierType
from govid.bus.shared.crypto import compute_key_id
from govid.identity.identifier_digests import IdentifierDigests
from govid.identity.life_events.death_notices import PriorNoticeCheck
from govid.identity.rate_limits.attempts import BruteForceAlarm, LoginFlow, LoginThrottle
from govid.identity.repository.account_status import AccountStatusRepository
from govid.identity.repository.life_events import LifeEventRepository
from govid.identity.repository.login_lockouts import LoginAttemptRepository
from govid.identity.repository.verification_attempts import VerificationAttemptRepository
from govid.identity.settings import ThrottleSettings
from tests.integration.identity.conftest import CONTEXT, IdentityFixture

OLD, NEW = b"k" * 32, b"n" * 32
NEW_ID = compute_key_id(NEW, "pseudonym")
DIGESTS = "SELECT identifier_digest, identifier_key_id FROM identity.life_event"
LOCKED = """
    INSERT INTO identity.throttle (flow, bucket, failures, locks, locked_at, locked_until, verdict,
                                   touched_at)
    VALUES ('sign-in', $1, 3, 1, now(), now() + interval '1 hour', 'locked', now())
"""
THROTTLE = "SELECT bucket, failures, locks, locked_until IS NOT NULL FROM identity.throttle"


def rotated() -> IdentifierDigests:
    return IdentifierDigests(NEW, OLD)


@pytest.mark.parametrize(
    ("kind", "value", "former"),
    [
        (IdentifierType.NIN, "AB123456C", 9),
        (IdentifierType.NHS, "9434765919", 1),
        (IdentifierType.NHS, "NHS123456789", 1),
    ],
)
def test_c11_each_form_under_each_key_is_looked_for(
    kind: IdentifierType, value: str, former: int
) -> None:
    digest = rotated().for_identifier(kind, value)
    assert digest.current == IdentifierDigests(NEW).for_identifier(kind, value).current
    assert IdentifierDigests(OLD).for_identifier(kind, value).current in digest.older
    assert len(set(digest.older)) == former


async def test_c11_a_notice_of_the_earlier_key_meets_a_registration_and_is_rewritten(
    identity: IdentityFixture,
) -> None:
    await identity.report_death()
    holders, history = AccountStatusRepository(), LifeEventRepository(NEW_ID)
    prior_notices = PriorNoticeCheck(holders, history, rotated())
    view = await identity.register(email="eve@example.com", identifier_value="AB123457C")
    async with identity.uow.begin(CONTEXT) as tx:
        await prior_notices.run(tx, view.id, IdentifierType.NIN, "AB123456A")
    row = await identity.account(view.id)
    assert row["contra_indicators"] == ["notice_before_registration"]
    current = rotated().for_identifier(IdentifierType.NIN, "AB123456A").current
    assert [tuple(one) for one in await identity.database.reads.fetch(DIGESTS)] == [
        (current, NEW_ID)
    ]


async def test_c11_attempts_of_the_earlier_key_count(identity: IdentityFixture) -> None:
    await identity.register()
    await identity.register(email="eve@example.com", identifier_value="AB123457C")
    attempts = VerificationAttemptRepository(NEW_ID)
    async with identity.uow.begin(CONTEXT) as tx:
        digest = rotated().for_identifier(IdentifierType.NIN, "AB123456B")
        spent: Any = await attempts.count_used(tx, uuid7(), digest)
    query = "SELECT count(*) FROM identity.verification_attempt WHERE identifier_key_id = $1"
    assert spent == (0, 0)
    assert await identity.database.reads.fetchval(query, NEW_ID) == 1


async def test_c11_a_lock_of_the_earlier_key_still_holds(
    database: Database, identity: IdentityFixture
) -> None:
    old, new = (PseudonymGenerator(key).for_value("throttle:ada@example.com") for key in (OLD, NEW))
    await database.reads.execute(LOCKED, old)
    async with identity.uow.begin(CONTEXT) as tx:
        await LoginAttemptRepository().merge_older(tx, "sign-in", new, [old])
    assert [tuple(row) for row in await database.reads.fetch(THROTTLE)] == [(new, 3, 1, True)]


async def test_c11_a_lock_that_is_there_already_is_not_replaced(
    database: Database, identity: IdentityFixture
) -> None:
    old, new = (PseudonymGenerator(key).for_value("throttle:ada@example.com") for key in (OLD, NEW))
    await database.reads.execute(LOCKED, old)
    await database.reads.execute(LOCKED.replace("3, 1", "0, 2"), new)
    async with identity.uow.begin(CONTEXT) as tx:
        await LoginAttemptRepository().merge_older(tx, "sign-in", new, [old])
    assert [tuple(row) for row in await database.reads.fetch(THROTTLE)] == [(new, 0, 2, True)]


@pytest.mark.parametrize("by_network", [True, False])
@pytest.mark.parametrize("subject", ["ada@example.com", "eve@example.com"])
async def test_c11_attempts_under_the_earlier_key_fill_the_count_of_the_new_one(
    identity: IdentityFixture, subject: str, by_network: bool
) -> None:
    limits = ThrottleSettings(failures=2)

    def throttle(key: bytes, *older: bytes) -> LoginThrottle:
        quotas, alarm = (
            QuotaCounters("identity.quota"),
            BruteForceAlarm(limits.failures, CollectorRegistry()),
        )
        pseudonyms, *earlier = (PseudonymGenerator(one) for one in (key, *older))
        return LoginThrottle(
            identity.uow, LoginAttemptRepository(), quotas, limits, pseudonyms, alarm, earlier
        )

    async def is_locked(under: LoginThrottle) -> bool:
        attempt, _ = await under.begin(
            LoginFlow.RESET, subject, CONTEXT, nothing, by_network=by_network
        )
        async with identity.uow.begin(CONTEXT) as tx:
            await under.record_failure(tx, attempt)
        return attempt.is_locked

    answers = [
        await is_locked(throttle(key, *older)) for key, *older in 2 * [(OLD,)] + [(NEW, OLD)]
    ]
    assert answers == [False, False, True]


async def nothing(_: Transaction) -> None:
    """Read nothing."""
