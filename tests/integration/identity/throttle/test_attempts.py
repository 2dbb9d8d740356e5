"""Attempts: reserved before the work, settled after it, and never lost between two."""

import asyncio
from collections import Counter

import msgspec
import pytest

from govid.bus import Database, Quotas
from govid.identity.errors import TooManyAttempts
from govid.identity.repository.throttle import Attempts
from govid.identity.throttle import attempts
from govid.identity.throttle.attempts import Flow
from govid.identity.throttle.lapsing import Lapsing
from tests.integration.identity.conftest import CAUSE
from tests.integration.identity.throttle.conftest import ADA, Door, a_door

SEEN = [True] * 6


async def test_the_sixth_failure_locks(door: Door) -> None:
    assert await door.wrong_times(8) == [*SEEN, False, False]
    assert await door.events() == ["locked"]


async def test_a_hundred_failures_in_a_row_are_an_alarm_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    door = a_door(database, failures=50, address_failures=0)
    await door.wrong_times(51)
    assert sieges(door) is None
    await door.pass_time(901)
    await door.wrong_times(51)
    assert sieges(door) == 1
    (line,) = [record for record in caplog.records if record.message == "throttle.siege"]
    subject = (await door.row())["bucket"]
    assert (vars(line)["flow"], vars(line)["subject"]) == (Flow.SIGN_IN, subject)


async def test_a_hundred_failures_that_nobody_settled_are_one_too(database: Database) -> None:
    door = a_door(database, failures=100, address_failures=0)
    assert [(await door.reserve()).is_locked for _ in range(100)] == [False] * 100
    await door.pass_time(31)
    assert (await door.reserve()).is_locked
    assert sieges(door) == 1


async def test_locks_with_a_day_between_them_are_none(database: Database) -> None:
    door = a_door(database, failures=50, address_failures=0)
    await door.wrong_times(51)
    await door.pass_time(24 * 3600 + 1)
    await door.wrong_times(51)
    assert sieges(door) is None


def sieges(door: Door) -> float | None:
    return door.registry.get_sample_value("govid_sieges_total", {"flow": Flow.SIGN_IN})


async def test_a_success_forgets_the_failures_before_it(door: Door) -> None:
    await door.wrong_times(5)
    await door.succeed(await door.reserve())
    assert await door.wrong_times(6) == SEEN


async def test_a_success_that_was_under_way_does_not_open_a_lock(door: Door) -> None:
    await door.wrong_times(5)
    late = await door.reserve()
    await door.pass_time(31)
    assert (await door.reserve()).is_locked
    await door.succeed(late)
    assert (await door.reserve()).is_locked


async def test_a_lifted_lock_lets_in_at_once_and_is_told_of_once(door: Door) -> None:
    await door.wrong_times(6)
    await door.lift()
    await door.lift()
    assert not (await door.reserve()).is_locked
    lapsing = Lapsing(Attempts(), Quotas("identity.quota"))
    async with door.uow.begin(CAUSE) as tx:
        assert await lapsing.unlock(tx, 10) == 0
    assert await door.events() == ["locked", "lock_expired"]


async def test_a_lock_whose_time_is_over_is_told_of_once_by_whoever_lifts_it(door: Door) -> None:
    await door.wrong_times(6)
    await door.pass_time(901)
    await asyncio.gather(door.lift(), door.lift(), door.reserve())
    assert await door.events() == ["locked", "lock_expired"]


async def test_lifting_forgets_failures_but_not_how_long_the_next_lock_is(door: Door) -> None:
    await door.wrong_times(6)
    await door.lift()
    await door.wrong_times(5)
    await door.lift()
    assert await door.wrong_times(7) == [*SEEN, False]
    row = await door.row()
    assert (row["locked_until"] - row["locked_at"]).total_seconds() == 1800


async def test_what_was_tried_before_a_lift_and_fails_after_it_counts(door: Door) -> None:
    early = [await door.reserve() for _ in range(3)]
    await door.lift()
    for attempt in early:
        await door.fail(attempt)
    assert (await door.row())["failures"] == 3


async def test_lifting_makes_room_for_who_waits(door: Door) -> None:
    await door.wrong_times(5)
    await door.reserve()
    waiting = asyncio.create_task(door.reserve())
    await asyncio.sleep(0)
    await door.lift()
    assert not (await waiting).is_locked


async def test_what_is_released_counts_for_nothing(door: Door) -> None:
    for _ in SEEN:
        await door.release(await door.reserve())
    assert (await door.row())["failures"] == 0
    assert await door.wrong_times(6) == SEEN


async def test_an_attempt_is_settled_once(door: Door) -> None:
    attempt = await door.reserve()
    await door.fail(attempt)
    await door.fail(attempt)
    assert (await door.row())["failures"] == 1


async def test_r5_what_nobody_settles_is_a_failure_after_half_a_minute(door: Door) -> None:
    for _ in SEEN:
        await door.reserve()
    await door.pass_time(29)
    waiting = asyncio.create_task(door.reserve())
    await asyncio.sleep(0)
    await door.pass_time(2)
    assert (await waiting).is_locked
    assert await door.events() == ["locked"]


async def test_r5_more_wait_than_may_still_fail(door: Door) -> None:
    await door.wrong_times(4)
    one, two = await door.reserve(), await door.reserve()
    waiting = asyncio.create_task(door.reserve())
    await asyncio.sleep(0)
    assert not waiting.done()
    await door.fail(one)
    await door.succeed(two)
    assert not (await waiting).is_locked


async def test_r5_another_process_makes_room_too(database: Database) -> None:
    here, there = a_door(database), a_door(database)
    taken = [await there.reserve() for _ in SEEN]
    waiting = asyncio.create_task(here.reserve())
    await asyncio.sleep(0)
    await there.succeed(taken[0])
    assert not (await waiting).is_locked


async def test_r5_who_waits_too_long_is_told_to_come_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in SEEN:
        await door.reserve()
    monkeypatch.setattr(attempts, "WAIT_SECONDS", 1)
    with pytest.raises(TooManyAttempts) as refusal:
        await door.reserve()
    assert refusal.value.retry_after_seconds == 1
    assert (await door.row())["failures"] == 0


async def test_r5_fifty_wrong_ones_at_once_are_looked_at_six_times(door: Door) -> None:
    looked_at = Counter(await asyncio.gather(*(door.wrong() for _ in range(50))))
    assert looked_at == {True: 6, False: 44}
    assert await door.events() == ["locked"]


async def test_r5_in_two_processes_still_six_times(database: Database) -> None:
    doors = [a_door(database), a_door(database)]
    looked_at = Counter(await asyncio.gather(*(doors[n % 2].wrong() for n in range(50))))
    assert looked_at == {True: 6, False: 44}


async def test_r5_a_restart_forgets_nothing(database: Database) -> None:
    await a_door(database).wrong_times(6)
    assert (await a_door(database).reserve()).is_locked


async def test_r5_fifty_right_ones_at_once_all_pass(door: Door) -> None:
    async def right() -> bool:
        attempt = await door.reserve()
        await door.succeed(attempt)
        return attempt.is_locked

    assert Counter(await asyncio.gather(*(right() for _ in range(50)))) == {False: 50}


async def test_r6_each_lock_within_a_day_lasts_twice_as_long(door: Door) -> None:
    lasted = [await _next_lock(door) for _ in range(5)]
    assert lasted == [900, 1800, 3600, 7200, 7200]


async def test_r6_after_a_day_locks_are_short_again(door: Door) -> None:
    await _next_lock(door)
    await _next_lock(door)
    await door.pass_time(24 * 3600)
    assert await _next_lock(door) == 900


async def _next_lock(door: Door) -> float:
    """Fail until locked; return how long it lasts, once it is over."""
    await door.wrong_times(6)
    row = await door.row()
    seconds = (row["locked_until"] - row["locked_at"]).total_seconds()
    await door.pass_time(seconds)
    return float(seconds)


async def test_r6_no_setting_locks_for_longer_than_a_day(database: Database) -> None:
    door = a_door(database, lock_seconds=1e9, longest_lock_seconds=1e9)
    assert await _next_lock(door) == 24 * 3600


async def test_r6_a_hundred_locks_do_not_overflow_into_none(door: Door) -> None:
    await door.wrong()
    await door.database.reads.execute(
        "UPDATE identity.throttle SET locks = 100000, locked_at = clock_timestamp()"
    )
    await door.wrong_times(5)
    row = await door.row()
    assert (row["locked_until"] - row["locked_at"]).total_seconds() == 7200


async def test_r6_a_clock_that_is_set_back_in_a_lock_does_not_prolong_it(door: Door) -> None:
    await door.wrong_times(6)
    await door.pass_time(-24 * 3600)
    assert await door.wrong_times(1) == [True]


async def test_r6_a_lock_of_one_flow_leaves_the_others_open(door: Door) -> None:
    await door.wrong_times(6)
    assert await door.wrong(flow=Flow.RESET)
    assert await door.wrong(flow=Flow.REAUTHENTICATION)
    assert not await door.wrong()


async def test_r6_a_lock_of_one_person_leaves_the_others_open(door: Door) -> None:
    await door.wrong_times(6)
    assert await door.wrong("eve@example.com")


async def test_r6_a_lock_and_its_end_are_told_once_each(door: Door) -> None:
    await door.wrong_times(8)
    await door.pass_time(901)
    await door.wrong_times(2)
    assert await door.events() == ["locked", "lock_expired"]


async def test_r6_many_at_once_tell_the_end_of_a_lock_once(door: Door) -> None:
    await door.wrong_times(6)
    await door.pass_time(901)
    await asyncio.gather(*(door.wrong() for _ in range(5)))
    assert await door.events() == ["locked", "lock_expired"]


async def test_a_row_says_nothing_about_who_it_is(door: Door) -> None:
    await door.wrong()
    text = str(await door.database.reads.fetch("SELECT t::text FROM identity.throttle t"))
    assert "ada" not in text
    assert "example" not in text


async def test_a_network_that_failed_too_often_is_refused_before_any_work(
    database: Database,
) -> None:
    door = a_door(database, address_failures=3)
    for n in range(3):
        await door.wrong(f"{n}@example.com", address="192.0.2.1")
    with pytest.raises(TooManyAttempts) as refusal:
        await door.wrong("4@example.com", address="192.0.2.1")
    assert refusal.value.retry_after_seconds == 900
    assert await door.count_buckets() == 3
    assert await door.wrong("4@example.com", address="192.0.2.2")
    await door.pass_time(901)
    assert await door.wrong("4@example.com", address="192.0.2.1")


async def test_only_failures_use_up_what_a_network_has(database: Database) -> None:
    door = a_door(database, address_failures=1)
    cause = msgspec.structs.replace(CAUSE, address="192.0.2.1")
    await door.succeed(await door.reserve(cause=cause))
    await door.release(await door.reserve(cause=cause))
    await door.fail(await door.reserve(cause=cause))
    with pytest.raises(TooManyAttempts):
        await door.reserve(cause=cause)


async def test_a_network_that_only_is_busy_is_told_to_come_again_soon(
    database: Database,
) -> None:
    door = a_door(database, address_failures=1)
    one = await door.reserve()
    with pytest.raises(TooManyAttempts) as refusal:
        await door.reserve("eve@example.com")
    assert refusal.value.retry_after_seconds == 5
    await door.succeed(one)
    assert await door.wrong("eve@example.com")


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), ("192.0.2.1", "::ffff:192.0.2.1")],
)
async def test_addresses_of_one_network_share_what_it_has(
    database: Database, one: str, other: str
) -> None:
    door = a_door(database, address_failures=1)
    await door.wrong(ADA, address=one)
    with pytest.raises(TooManyAttempts):
        await door.wrong("eve@example.com", address=other)


async def test_a_neighbouring_network_has_its_own(database: Database) -> None:
    door = a_door(database, address_failures=1)
    await door.wrong(ADA, address="2001:db8:1:2::1")
    assert await door.wrong(ADA, address="2001:db8:1:3::1")


async def test_without_a_limit_no_address_is_counted(database: Database) -> None:
    door = a_door(database, address_failures=0)
    await door.wrong()
    assert await door.database.reads.fetchval("SELECT count(*) FROM identity.quota") == 0
