"""Login rate limit: attempts are reserved before the hash and recorded after it; none is lost."""

import asyncio
from collections import Counter

import msgspec
import pytest

from govid.bus import Database, QuotaCounters
from govid.identity.errors import TooManyAttempts
from govid.identity.rate_limits import attempts
from govid.identity.rate_limits.attempts import LoginFlow, ThrottleCleanup
from govid.identity.repository.login_lockouts import LoginAttemptRepository
from tests.integration.identity.conftest import CONTEXT
from tests.integration.identity.rate_limits.conftest import ADA, RateLimitFixture, open_limiter

SEEN = [True] * 6


async def test_the_sixth_failure_locks(limiter: RateLimitFixture) -> None:
    assert await limiter.attempt_wrongly_times(8) == [*SEEN, False, False]
    assert await limiter.events() == ["locked"]


async def test_a_hundred_failures_in_a_row_are_an_alarm_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = open_limiter(database, failures=50, address_failures=0)
    await limiter.attempt_wrongly_times(51)
    assert count_alarms(limiter) is None
    await limiter.pass_time(901)
    await limiter.attempt_wrongly_times(51)
    assert count_alarms(limiter) == 1
    (line,) = [record for record in caplog.records if record.message == "throttle.siege"]
    subject = (await limiter.row())["bucket"]
    assert (vars(line)["flow"], vars(line)["subject"]) == (LoginFlow.LOGIN, subject)


async def test_a_hundred_failures_that_no_one_settled_are_one_too(database: Database) -> None:
    limiter = open_limiter(database, failures=100, address_failures=0)
    assert [(await limiter.reserve()).is_locked for _ in range(100)] == [False] * 100
    await limiter.pass_time(31)
    assert (await limiter.reserve()).is_locked
    assert count_alarms(limiter) == 1


async def test_locks_with_a_day_between_them_are_none(database: Database) -> None:
    limiter = open_limiter(database, failures=50, address_failures=0)
    await limiter.attempt_wrongly_times(51)
    await limiter.pass_time(24 * 3600 + 1)
    await limiter.attempt_wrongly_times(51)
    assert count_alarms(limiter) is None


def count_alarms(limiter: RateLimitFixture) -> float | None:
    return limiter.registry.get_sample_value("govid_sieges_total", {"flow": LoginFlow.LOGIN})


async def test_a_success_forgets_the_failures_before_it(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly_times(5)
    await limiter.succeed(await limiter.reserve())
    assert await limiter.attempt_wrongly_times(6) == SEEN


async def test_a_success_that_was_under_way_does_not_open_a_lock(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly_times(5)
    late = await limiter.reserve()
    await limiter.pass_time(31)
    assert (await limiter.reserve()).is_locked
    await limiter.succeed(late)
    assert (await limiter.reserve()).is_locked


async def test_a_lifted_lock_lets_in_at_once_and_is_reported_once(
    limiter: RateLimitFixture,
) -> None:
    await limiter.attempt_wrongly_times(6)
    await limiter.lift()
    await limiter.lift()
    assert not (await limiter.reserve()).is_locked
    cleanup = ThrottleCleanup(LoginAttemptRepository(), QuotaCounters("identity.quota"))
    async with limiter.uow.begin(CONTEXT) as tx:
        assert await cleanup.release_expired(tx, 10) == 0
    assert await limiter.events() == ["locked", "lock_expired"]


async def test_a_lock_whose_time_is_over_is_reported_once_by_who_lifts_it(
    limiter: RateLimitFixture,
) -> None:
    await limiter.attempt_wrongly_times(6)
    await limiter.pass_time(901)
    await asyncio.gather(limiter.lift(), limiter.lift(), limiter.reserve())
    assert await limiter.events() == ["locked", "lock_expired"]


async def test_lifting_forgets_failures_but_not_how_long_the_next_lock_is(
    limiter: RateLimitFixture,
) -> None:
    await limiter.attempt_wrongly_times(6)
    await limiter.lift()
    await limiter.attempt_wrongly_times(5)
    await limiter.lift()
    assert await limiter.attempt_wrongly_times(7) == [*SEEN, False]
    row = await limiter.row()
    assert (row["locked_until"] - row["locked_at"]).total_seconds() == 1800


async def test_what_was_tried_before_a_lift_and_fails_after_it_counts(
    limiter: RateLimitFixture,
) -> None:
    early = [await limiter.reserve() for _ in range(3)]
    await limiter.lift()
    for attempt in early:
        await limiter.fail(attempt)
    assert (await limiter.row())["failures"] == 3


async def test_lifting_frees_capacity_for_who_waits(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly_times(5)
    await limiter.reserve()
    waiting = asyncio.create_task(limiter.reserve())
    await asyncio.sleep(0)
    await limiter.lift()
    assert not (await waiting).is_locked


async def test_what_is_released_counts_for_nothing(limiter: RateLimitFixture) -> None:
    for _ in SEEN:
        await limiter.release(await limiter.reserve())
    assert (await limiter.row())["failures"] == 0
    assert await limiter.attempt_wrongly_times(6) == SEEN


async def test_an_attempt_is_settled_once(limiter: RateLimitFixture) -> None:
    attempt = await limiter.reserve()
    await limiter.fail(attempt)
    await limiter.fail(attempt)
    assert (await limiter.row())["failures"] == 1


async def test_r5_what_no_one_settles_is_a_failure_after_half_a_minute(
    limiter: RateLimitFixture,
) -> None:
    for _ in SEEN:
        await limiter.reserve()
    await limiter.pass_time(29)
    waiting = asyncio.create_task(limiter.reserve())
    await asyncio.sleep(0)
    await limiter.pass_time(2)
    assert (await waiting).is_locked
    assert await limiter.events() == ["locked"]


async def test_r5_more_wait_than_may_still_fail(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly_times(4)
    one, two = await limiter.reserve(), await limiter.reserve()
    waiting = asyncio.create_task(limiter.reserve())
    await asyncio.sleep(0)
    assert not waiting.done()
    await limiter.fail(one)
    await limiter.succeed(two)
    assert not (await waiting).is_locked


async def test_r5_another_process_frees_capacity_too(database: Database) -> None:
    here, there = open_limiter(database), open_limiter(database)
    taken = [await there.reserve() for _ in SEEN]
    waiting = asyncio.create_task(here.reserve())
    await asyncio.sleep(0)
    await there.succeed(taken[0])
    assert not (await waiting).is_locked


async def test_r5_who_waits_too_long_is_asked_to_come_again(
    limiter: RateLimitFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in SEEN:
        await limiter.reserve()
    monkeypatch.setattr(attempts, "WAIT_SECONDS", 1)
    with pytest.raises(TooManyAttempts) as refusal:
        await limiter.reserve()
    assert refusal.value.retry_after_seconds == 1
    assert (await limiter.row())["failures"] == 0


async def test_r5_fifty_wrong_ones_at_once_are_looked_at_six_times(
    limiter: RateLimitFixture,
) -> None:
    looked_at = Counter(await asyncio.gather(*(limiter.attempt_wrongly() for _ in range(50))))
    assert looked_at == {True: 6, False: 44}
    assert await limiter.events() == ["locked"]


async def test_r5_in_two_processes_still_six_times(database: Database) -> None:
    limiters = [open_limiter(database), open_limiter(database)]
    looked_at = Counter(
        await asyncio.gather(*(limiters[n % 2].attempt_wrongly() for n in range(50)))
    )
    assert looked_at == {True: 6, False: 44}


async def test_r5_a_restart_forgets_nothing(database: Database) -> None:
    await open_limiter(database).attempt_wrongly_times(6)
    assert (await open_limiter(database).reserve()).is_locked


async def test_r5_fifty_right_ones_at_once_all_pass(limiter: RateLimitFixture) -> None:
    async def right() -> bool:
        attempt = await limiter.reserve()
        await limiter.succeed(attempt)
        return attempt.is_locked

    assert Counter(await asyncio.gather(*(right() for _ in range(50)))) == {False: 50}


async def test_r6_each_lock_within_a_day_lasts_twice_as_long(limiter: RateLimitFixture) -> None:
    lasted = [await _next_lock(limiter) for _ in range(5)]
    assert lasted == [900, 1800, 3600, 7200, 7200]


async def test_r6_after_a_day_locks_are_short_again(limiter: RateLimitFixture) -> None:
    await _next_lock(limiter)
    await _next_lock(limiter)
    await limiter.pass_time(24 * 3600)
    assert await _next_lock(limiter) == 900


async def _next_lock(limiter: RateLimitFixture) -> float:
    """Fail until locked; return how long it lasts, once it is over."""
    await limiter.attempt_wrongly_times(6)
    row = await limiter.row()
    seconds = (row["locked_until"] - row["locked_at"]).total_seconds()
    await limiter.pass_time(seconds)
    return float(seconds)


async def test_r6_no_setting_locks_for_longer_than_a_day(database: Database) -> None:
    limiter = open_limiter(database, lock_seconds=1e9, max_lock_seconds=1e9)
    assert await _next_lock(limiter) == 24 * 3600


async def test_r6_a_hundred_locks_do_not_overflow_into_none(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly()
    await limiter.database.reads.execute(
        "UPDATE identity.throttle SET locks = 100000, locked_at = clock_timestamp()"
    )
    await limiter.attempt_wrongly_times(5)
    row = await limiter.row()
    assert (row["locked_until"] - row["locked_at"]).total_seconds() == 7200


async def test_r6_a_clock_that_is_set_back_in_a_lock_does_not_prolong_it(
    limiter: RateLimitFixture,
) -> None:
    await limiter.attempt_wrongly_times(6)
    await limiter.pass_time(-24 * 3600)
    assert await limiter.attempt_wrongly_times(1) == [True]


async def test_r6_a_lock_of_one_flow_leaves_the_others_open(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly_times(6)
    assert await limiter.attempt_wrongly(flow=LoginFlow.RESET)
    assert await limiter.attempt_wrongly(flow=LoginFlow.REAUTHENTICATION)
    assert not await limiter.attempt_wrongly()


async def test_r6_a_lock_of_one_person_leaves_the_others_open(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly_times(6)
    assert await limiter.attempt_wrongly("eve@example.com")


async def test_r6_a_lock_and_its_end_are_reported_once_each(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly_times(8)
    await limiter.pass_time(901)
    await limiter.attempt_wrongly_times(2)
    assert await limiter.events() == ["locked", "lock_expired"]


async def test_r6_many_at_once_tell_the_end_of_a_lock_once(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly_times(6)
    await limiter.pass_time(901)
    await asyncio.gather(*(limiter.attempt_wrongly() for _ in range(5)))
    assert await limiter.events() == ["locked", "lock_expired"]


async def test_a_row_says_nothing_about_who_it_is(limiter: RateLimitFixture) -> None:
    await limiter.attempt_wrongly()
    text = str(await limiter.database.reads.fetch("SELECT t::text FROM identity.throttle t"))
    assert "ada" not in text
    assert "example" not in text


async def test_a_network_that_failed_too_often_is_refused_before_any_work(
    database: Database,
) -> None:
    limiter = open_limiter(database, address_failures=3)
    for n in range(3):
        await limiter.attempt_wrongly(f"{n}@example.com", client_address="192.0.2.1")
    with pytest.raises(TooManyAttempts) as refusal:
        await limiter.attempt_wrongly("4@example.com", client_address="192.0.2.1")
    assert refusal.value.retry_after_seconds == 900
    assert await limiter.count_buckets() == 3
    assert await limiter.attempt_wrongly("4@example.com", client_address="192.0.2.2")
    await limiter.pass_time(901)
    assert await limiter.attempt_wrongly("4@example.com", client_address="192.0.2.1")


async def test_only_failures_use_up_what_a_network_has(database: Database) -> None:
    limiter = open_limiter(database, address_failures=1)
    context = msgspec.structs.replace(CONTEXT, client_address="192.0.2.1")
    await limiter.succeed(await limiter.reserve(context=context))
    await limiter.release(await limiter.reserve(context=context))
    await limiter.fail(await limiter.reserve(context=context))
    with pytest.raises(TooManyAttempts):
        await limiter.reserve(context=context)


async def test_a_network_that_only_is_busy_is_asked_to_come_again_soon(
    database: Database,
) -> None:
    limiter = open_limiter(database, address_failures=1)
    one = await limiter.reserve()
    with pytest.raises(TooManyAttempts) as refusal:
        await limiter.reserve("eve@example.com")
    assert refusal.value.retry_after_seconds == 5
    await limiter.succeed(one)
    assert await limiter.attempt_wrongly("eve@example.com")


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), ("192.0.2.1", "::ffff:192.0.2.1")],
)
async def test_addresses_of_one_network_share_what_it_has(
    database: Database, one: str, other: str
) -> None:
    limiter = open_limiter(database, address_failures=1)
    await limiter.attempt_wrongly(ADA, client_address=one)
    with pytest.raises(TooManyAttempts):
        await limiter.attempt_wrongly("eve@example.com", client_address=other)


async def test_a_neighbouring_network_has_its_own(database: Database) -> None:
    limiter = open_limiter(database, address_failures=1)
    await limiter.attempt_wrongly(ADA, client_address="2001:db8:1:2::1")
    assert await limiter.attempt_wrongly(ADA, client_address="2001:db8:1:3::1")


async def test_without_a_limit_no_address_is_counted(database: Database) -> None:
    limiter = open_limiter(database, address_failures=0)
    await limiter.attempt_wrongly()
    assert await limiter.database.reads.fetchval("SELECT count(*) FROM identity.quota") == 0
