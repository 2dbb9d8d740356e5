"""The checker finds what it is there to find: each of these runs is broken in one way."""

from typing import Any
from uuid import uuid4

import msgspec

from tests.chaos.checker import CheckReport, Command, Effect, Evidence, check_run
from tests.chaos.consumers import APPOINTMENTS, DEATHS, REQUESTS, RESULTS
from tests.chaos.operator_commands import Finding, Gap, Proof
from tests.chaos.reader import Record
from tests.chaos.writers import ACCESS, APPOINTMENT, VERIFICATION, Ledger

A, B = "account-a", "account-b"
IDS = {n: str(uuid4()) for n in range(10)}


def record(topic: str, offset: int, key: str | None, n: int, partition: int = 0) -> Record:
    return Record(topic, partition, offset, key, IDS[n], n)


def ledger(*, confirmed: set[int] | None = None, given_up: set[int] | None = None) -> Ledger:
    reported = Ledger()
    reported.confirmed = {1, 2, 3, 4} if confirmed is None else confirmed
    reported.given_up = given_up or set()
    return reported


def a_good_run(**changes: Any) -> Evidence:
    """Two requests of A, an appointment of B, an access record, and a notice of death."""
    good = Evidence(
        commands=[
            Command(1, VERIFICATION, A, 1),
            Command(2, VERIFICATION, A, 2),
            Command(3, APPOINTMENT, B, 1),
            Command(4, ACCESS, None, None),
        ],
        effects=[
            Effect(REQUESTS, IDS[1], A, 1),
            Effect(RESULTS, IDS[1], A, 1),
            Effect(REQUESTS, IDS[2], A, 2),
            Effect(RESULTS, IDS[2], A, 2),
            Effect(APPOINTMENTS, IDS[1], B, 1),
            Effect(DEATHS, IDS[1], "holder", 1),
        ],
        requests=[record("requests", 0, A, 1), record("requests", 1, A, 2)],
        results=[record("results", 0, A, 1), record("results", 1, A, 2)],
        appointments=[record("appointments", 0, B, 1)],
        accesses=[record("access", 0, None, 4)],
        deaths=[record("deaths", 0, "holder", 1)],
        notices={("holder", 1)},
        events=7,
        gaps=0,
        pending=0,
        parked=0,
        dead=0,
    )
    return msgspec.structs.replace(good, **changes)


def without_examples(verdict: CheckReport) -> CheckReport:
    return msgspec.structs.replace(verdict, examples=[])


def two_notices_of_one_holder(first: int, second: int) -> dict[str, Any]:
    """Return a run whose outsider published 2 before 1, and whose handler saw them in turn."""
    return {
        "deaths": [record("deaths", 0, "holder", 2), record("deaths", 1, "holder", 1)],
        "effects": [
            *a_good_run().effects[:-1],
            Effect(DEATHS, IDS[first], "holder", first),
            Effect(DEATHS, IDS[second], "holder", second),
        ],
    }


def broken(reported: Ledger | None = None, **changes: Any) -> CheckReport:
    return without_examples(check_run(reported or ledger(), a_good_run(**changes)))


def test_a_good_run_is_well() -> None:
    assert check_run(ledger(), a_good_run()) == CheckReport()
    assert CheckReport().well


def test_a_commit_that_was_confirmed_and_is_not_there_is_lost() -> None:
    assert broken(ledger(confirmed={1, 5})) == CheckReport(lost=1)


def test_an_effect_that_is_missing_is_lost() -> None:
    assert broken(effects=a_good_run().effects[:-1]) == CheckReport(lost=1)
    assert check_run(ledger(), a_good_run(accesses=[])).examples == ["accesses access 4"]


def test_a_record_that_is_missing_in_kafka_is_lost() -> None:
    assert broken(requests=a_good_run().requests[:1]) == CheckReport(lost=1)


def test_a_notice_that_kafka_had_acknowledged_and_does_not_have_is_lost() -> None:
    assert broken(notices={("holder", 1), ("holder", 2)}) == CheckReport(lost=1)


def test_a_number_that_a_key_has_skipped_is_lost() -> None:
    assert broken(gaps=2) == CheckReport(lost=2)


def test_what_a_writer_gave_up_and_happened_is_a_ghost() -> None:
    assert broken(ledger(given_up={2})) == CheckReport(ghosts=1)


def test_an_event_of_no_command_is_a_ghost() -> None:
    ghost = record("requests", 2, B, 0)
    assert broken(requests=[*a_good_run().requests, ghost]) == CheckReport(ghosts=1)


def test_an_effect_that_happened_twice_is_doubled() -> None:
    effects = a_good_run().effects
    assert broken(effects=[*effects, effects[0]]) == CheckReport(doubled=1)


def test_effects_in_another_order_than_the_commits_are_reordered() -> None:
    effects = a_good_run().effects
    assert broken(effects=[*effects[2:], *effects[:2]]) == CheckReport(reordered=2)


def test_the_order_of_notices_is_the_one_in_which_kafka_has_them() -> None:
    assert broken(**two_notices_of_one_holder(2, 1)) == CheckReport()
    assert broken(**two_notices_of_one_holder(1, 2)) == CheckReport(reordered=1)


def test_what_overtook_what_is_reported() -> None:
    reported = check_run(ledger(), a_good_run(results=a_good_run().results[::-1]))
    assert reported.examples == [f"results {A} 2 before 1"]


def test_records_in_another_order_than_the_commits_are_reordered() -> None:
    assert broken(results=a_good_run().results[::-1]) == CheckReport(reordered=1)


def test_a_record_that_kafka_has_again_is_allowed_if_its_first_sight_was_in_order() -> None:
    requests = a_good_run().requests
    again = [*requests, requests[0]]
    assert broken(requests=again) == CheckReport(sent_again=1)
    assert check_run(ledger(), a_good_run(requests=again)).well


def test_a_key_in_two_partitions_has_no_order() -> None:
    first, second = a_good_run().requests
    assert broken(requests=[first, second._replace(partition=1)]) == CheckReport(reordered=1)


def test_one_event_under_two_ids_is_found() -> None:
    results = a_good_run().results
    other = results[1]._replace(event_id="another")
    assert broken(results=[*results, other]) == CheckReport(two_ids=1)


def test_whatever_is_left_is_stuck() -> None:
    assert broken(pending=1, parked=2, dead=4) == CheckReport(stuck=7)
    assert not CheckReport(stuck=1).well


def test_what_an_operator_published_again_has_an_order_of_its_own() -> None:
    first, second = (record("requests", n, A, n + 1) for n in range(2))
    late = first._replace(offset=2)
    again = {"requests": [second, late], "published_again": {("requests", 0): 2}}
    assert broken(**again) == CheckReport()
    assert broken(requests=[second, late]) == CheckReport(reordered=1)


def test_what_came_by_itself_keeps_its_order_whatever_was_published_again() -> None:
    first, second = (record("requests", n, A, n + 1) for n in range(2))
    swapped = [second._replace(offset=0), first._replace(offset=1)]
    assert broken(requests=swapped, published_again={("requests", 0): 2}) == CheckReport(
        reordered=1
    )
    assert broken(requests=swapped, published_again={("requests", 1): 0}) == CheckReport(
        reordered=1
    )


def test_what_was_published_again_and_is_still_missing_is_lost() -> None:
    second = record("requests", 1, A, 2)
    assert broken(requests=[second], published_again={("requests", 0): 2}) == CheckReport(lost=1)


def test_a_notice_that_was_removed_unread_is_counted_apart_if_it_is_named() -> None:
    unread = record("deaths", 1, "holder", 2)
    two = {
        "deaths": [*a_good_run().deaths, unread],
        "notices": {("holder", 1), ("holder", 2)},
    }
    assert broken(**two, unread=[unread]) == CheckReport(removed_unread=1)
    assert check_run(ledger(), a_good_run(**two, unread=[unread])).well
    assert broken(**two) == CheckReport(lost=1)


def test_a_notice_that_is_named_as_unread_and_was_handled_counts_as_handled() -> None:
    assert broken(unread=a_good_run().deaths) == CheckReport()
    twice = [*a_good_run().effects, a_good_run().effects[-1]]
    assert broken(unread=a_good_run().deaths, effects=twice) == CheckReport(doubled=1)


def test_a_notice_of_which_another_copy_can_be_read_is_not_given_up() -> None:
    first, copy = a_good_run().deaths[0], record("deaths", 1, "holder", 1)
    two = {"deaths": [first, copy], "unread": [first]}
    assert broken(**two) == CheckReport()
    assert broken(**two, effects=a_good_run().effects[:-1]) == CheckReport(lost=1, removed_unread=1)


def test_an_effect_of_a_notice_that_kafka_never_had_is_a_ghost() -> None:
    effects = [*a_good_run().effects, Effect(DEATHS, IDS[2], "holder", 2)]
    assert broken(effects=effects) == CheckReport(ghosts=1)


def test_only_a_named_gap_of_the_own_partition_holds_a_record() -> None:
    gap = Gap("deaths", 1, 3, 2)
    places = [("deaths", 1, offset) for offset in range(2, 6)]
    assert [gap.holds(place) for place in places] == [False, True, True, False]
    assert not gap.holds(("deaths", 0, 3))
    assert not gap.holds(("other", 1, 3))


def test_gaps_are_read_out_of_what_verify_says() -> None:
    said = Proof(
        findings=[
            Finding("inbound_removed", "hmrc.death/1/17", 4),
            Finding("topic_missing", "hmrc.death", 9),
            Finding("no_place"),
        ]
    )
    assert said.gaps == [Gap("hmrc.death", 1, 17, 4)]
