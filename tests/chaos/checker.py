"""Compares what was promised with what happened.

It does no input or output, and is tested with broken runs of every kind.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from tests.chaos.consumers import APPOINTMENTS, DEATHS, REQUESTS, RESULTS
from tests.chaos.reader import Record
from tests.chaos.writers import ACCESS, APPOINTMENT, VERIFICATION, Ledger

EXAMPLES = 5


class Command(NamedTuple):
    """One change of one account that the database knows of; a command may have made several."""

    id: int
    stream: str
    account: str | None
    n: int | None


class Effect(NamedTuple):
    """One thing that a handler did."""

    subscriber: str
    event_id: str
    subject: str
    n: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be known when everything is quiet."""

    commands: Sequence[Command]
    effects: Sequence[Effect]
    """In the order in which they were written."""
    requests: Sequence[Record]
    results: Sequence[Record]
    appointments: Sequence[Record]
    accesses: Sequence[Record]
    deaths: Sequence[Record]
    notices: Collection[tuple[str, int]]
    """What Kafka has acknowledged to the outsider."""
    unread: Sequence[Record] = ()
    """Those of *deaths* that Kafka removed, and that `verify` names as unread."""
    published_again: Mapping[tuple[str, int], int] = {}
    """By topic and partition: the offset from which on records were published again by an operator.

    Kafka had lost it, so it comes behind what is younger: each part has its own order.
    """
    events: int
    gaps: int
    """Keys whose events are not numbered 1, 2, 3 .. without a gap."""
    pending: int
    parked: int
    dead: int

    @property
    def record_count(self) -> int:
        """Count the records that govid has published."""
        return sum(map(len, (self.requests, self.results, self.appointments, self.accesses)))


class CheckReport(msgspec.Struct, kw_only=True):
    """How often each promise was broken."""

    lost: int = 0
    """Promised, and not there."""
    ghosts: int = 0
    """There, and never promised: emitted by what did not commit."""
    doubled: int = 0
    """Effects of handlers that happened again."""
    reordered: int = 0
    """Subjects whose events were first seen in another order than they were committed in."""
    two_ids: int = 0
    """Records that say the same under different ids."""
    stuck: int = 0
    """Deliveries that were not handled, and keys that wait for an operator."""
    sent_again: int = 0
    """Records that Kafka has twice under one id: allowed, and worth knowing."""
    removed_unread: int = 0
    """Notices that Kafka removed before they could be read, each of them named: allowed."""
    examples: list[str] = []
    """Some of what was lost, came from nowhere or overtook: where, of whom, and its number."""

    @property
    def well(self) -> bool:
        """Tell whether every promise was kept."""
        broken = msgspec.structs.replace(self, sent_again=0, removed_unread=0)
        return not any(msgspec.structs.astuple(broken))

    def compare(
        self,
        where: str,
        promised: Mapping[str, Sequence[int]],
        seen: Sequence["Seen"],
        *,
        ordered: bool = True,
    ) -> None:
        """Count what is wrong with what was *seen* somewhere.

        *promised* are each subject's numbers, in the order in which they should be seen first.
        """
        expected = {(subject, n) for subject, numbers in promised.items() for n in numbers}
        found = {(sight.subject, sight.n) for sight in seen}
        self.lost += len(expected - found)
        self.ghosts += len(found - expected)
        strange = sorted(expected ^ found)[:EXAMPLES]
        self.examples += [f"{where} {subject} {n}" for subject, n in strange]
        ids = Counter((subject, n) for subject, n, _ in set(seen))
        self.two_ids += sum(count > 1 for count in ids.values())
        if ordered:
            self.compare_order(where, promised, seen)

    def compare_order(
        self, where: str, promised: Mapping[str, Sequence[int]], seen: Sequence["Seen"]
    ) -> None:
        """Count the subjects of which something was *seen* before what was promised earlier."""
        for subject, numbers in _by_subject(seen).items():
            self._compare_order(f"{where} {subject}", promised.get(subject, ()), numbers)

    def _compare_order(self, whose: str, promised: Sequence[int], seen: Sequence[int]) -> None:
        place = {n: index for index, n in enumerate(promised)}
        known = [n for n in seen if n in place]
        overtaken = [(a, b) for a, b in pairwise(known) if place[b] < place[a]]
        self.reordered += bool(overtaken)
        self.examples += [f"{whose} {a} before {b}" for a, b in overtaken[:EXAMPLES]]


class Seen(NamedTuple):
    """One sight of an event, wherever."""

    subject: str
    n: int
    event_id: str


def check_run(ledger: Ledger, evidence: Evidence) -> CheckReport:
    """Return the verdict on one run."""
    verdict = CheckReport(stuck=evidence.pending + evidence.parked + evidence.dead)
    verdict.lost += evidence.gaps
    known = {command.id for command in evidence.commands}
    verdict.lost += len(ledger.confirmed - known)
    verdict.ghosts += len(known & ledger.given_up)
    requests = _promised(evidence.commands, VERIFICATION)
    appointments = _promised(evidence.commands, APPOINTMENT)
    accesses = {ACCESS: [c.id for c in evidence.commands if c.stream == ACCESS]}
    # What an outsider has published counts as said, whether he knows of it or not, and in the order
    # in which Kafka has it: how he makes that the order of his numbers is his own affair.
    said = {(sight.subject, sight.n) for sight in _of_records(evidence.deaths)}
    verdict.lost += len(set(evidence.notices) - said)
    # Unreadable records have to be named, and then they are only counted. A replica that
    # died may have handled some of it, and not have noted how far it was.
    handled = {(e.subject, e.n) for e in evidence.effects if e.subscriber == DEATHS}
    unread = [one for one in evidence.unread if (one.key, one.n) not in handled]
    verdict.removed_unread = len(unread)
    deaths = _by_subject(_of_records(one for one in evidence.deaths if one not in unread))
    for subscriber, promised in (
        (REQUESTS, requests),
        (RESULTS, requests),
        (APPOINTMENTS, appointments),
        (DEATHS, deaths),
    ):
        seen = [Seen(e.subject, e.n, e.event_id) for e in evidence.effects
                if e.subscriber == subscriber]  # fmt: skip
        verdict.compare(subscriber, promised, seen)
        verdict.doubled += len(seen) - len({(s.subject, s.n) for s in seen})
    for topic, records, promised in (
        ("requests", evidence.requests, requests),
        ("results", evidence.results, requests),
        ("appointments", evidence.appointments, appointments),
    ):
        for part in _parts(records, evidence.published_again):
            verdict.compare_order(topic, promised, _of_records(part))
        verdict.compare(topic, promised, _of_records(records), ordered=False)
        verdict.reordered += _scattered(records)
        verdict.sent_again += len(records) - len({record.event_id for record in records})
    verdict.compare(
        "accesses",
        accesses,
        [Seen(ACCESS, r.n, r.event_id) for r in evidence.accesses],
        ordered=False,
    )
    return verdict


def _promised(commands: Iterable[Command], stream: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for command in commands:
        if command.stream == stream and command.account and command.n:
            found[command.account].append(command.n)
    return {account: sorted(numbers) for account, numbers in found.items()}


def _by_subject(seen: Iterable[Seen]) -> dict[str, list[int]]:
    """Return the numbers of each subject in the order in which they were first seen."""
    firsts: dict[str, dict[int, None]] = defaultdict(dict)
    for sight in seen:
        firsts[sight.subject].setdefault(sight.n)
    return {subject: list(numbers) for subject, numbers in firsts.items()}


def _of_records(records: Iterable[Record]) -> list[Seen]:
    return [Seen(record.key or "", record.n, record.event_id) for record in records]


def _parts(
    records: Sequence[Record], published_again: Mapping[tuple[str, int], int]
) -> tuple[list[Record], list[Record]]:
    """Part *records* into those that came by themselves and those that an operator published."""
    parts: tuple[list[Record], list[Record]] = ([], [])
    for record in records:
        begin = published_again.get((record.topic, record.partition))
        parts[begin is not None and record.offset >= begin].append(record)
    return parts


def _scattered(records: Iterable[Record]) -> int:
    """Count keys whose records stand in more than one partition: there is no order among them."""
    places = Counter(key for key, _ in {(record.key, record.partition) for record in records})
    return sum(count > 1 for count in places.values())
