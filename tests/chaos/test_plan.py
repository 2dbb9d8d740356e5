"""A seed says everything about its run, and a round of seeds leaves no class of faults out."""

from collections import Counter

from tests.chaos.plan import LEASE_SECONDS, ONCE, SECURED_ONLY, SEEDS_IN_A_ROUND, Kind, plan

MANY = range(200)


def test_a_seed_always_gives_the_same_plan() -> None:
    assert plan(42) == plan(42)
    assert plan(42) != plan(43)


def test_every_run_has_several_faults() -> None:
    assert min(len(plan(seed).faults) for seed in MANY) >= 3


def test_every_round_has_every_class() -> None:
    rounds = [range(n, n + SEEDS_IN_A_ROUND) for n in MANY[::SEEDS_IN_A_ROUND]]
    met = [set().union(*(plan(seed).kinds for seed in seeds)) for seeds in rounds]
    assert met == [set(Kind)] * len(rounds)


def test_what_cannot_happen_twice_happens_at_most_once_in_a_run() -> None:
    met = [Counter(fault.kind for fault in plan(seed).faults) for seed in MANY]
    assert max(kinds[kind] for kinds in met for kind in (*ONCE, *SECURED_ONLY)) == 1


def test_a_run_that_needs_tls_to_kafka_damages_no_record() -> None:
    met = [plan(seed).kinds for seed in MANY if not plan(seed).is_secured]
    assert not set().union(*met).intersection(SECURED_ONLY)


def test_a_frozen_replica_sleeps_longer_than_its_leases_last() -> None:
    faults = [fault for seed in MANY for fault in plan(seed).faults]
    frozen = [fault.seconds for fault in faults if fault.kind is Kind.REPLICA_FROZEN]
    assert min(frozen) > LEASE_SECONDS
