"""What happens in a run: chosen by its seed, and by nothing else.

Seeds come in rounds. Each round shuffles the classes of faults and deals every one of them once,
as cards to its seeds: so a round covers all classes, and every class is met equally often.
"""

import random
from enum import StrEnum

import msgspec

REPLICAS = 3
SEEDS_IN_A_ROUND = 5
ACCOUNTS = 16
"""How many accounts there are: few, so that keys are hot."""
WRITING_SECONDS = 5.0
LEASE_SECONDS = 3.0


class Kind(StrEnum):
    """A class of faults."""

    REPLICA_KILLED = "replica.killed"
    REPLICA_FROZEN = "replica.frozen"
    REPLICA_STARVED = "replica.starved"
    """All its pools are exhausted."""
    HANDLER_RAISES = "handler.raises"
    HANDLER_MEETS_OUTAGE = "handler.meets_outage"
    HANDLER_DIES = "handler.dies"
    """It ends its process after its writes, before their COMMIT."""
    DATABASE_TERMINATED = "database.terminated"
    """By `pg_terminate_backend`."""
    DATABASE_LATE_COMMIT = "database.late_commit"
    """A writer holds the rows of its keys, and its place, and commits late or never."""
    DATABASE_IDLE_WRITER = "database.idle_writer"
    """A transaction that has written elsewhere stays open."""
    DATABASE_DROPPED = "database.dropped"
    DATABASE_REFUSED = "database.refused"
    DATABASE_DELAYED = "database.delayed"
    DATABASE_CUT = "database.cut"
    DATABASE_SWALLOWED = "database.swallowed"
    DATABASE_READ_ONLY = "database.read_only"
    DATABASE_FAILED_OVER = "database.failed_over"
    """The primary dies or is shut down, and its synchronous standby is promoted."""
    DATABASE_CERTIFICATES_REPLACED = "database.certificates_replaced"
    """The file of authorities is cut off for a while, then complete and longer."""
    KAFKA_DROPPED = "kafka.dropped"
    KAFKA_REFUSED = "kafka.refused"
    KAFKA_DELAYED = "kafka.delayed"
    KAFKA_CUT = "kafka.cut"
    KAFKA_SWALLOWED = "kafka.swallowed"
    KAFKA_COMPRESSED = "kafka.compressed"
    """The external publisher sends compressed batches from now on."""
    KAFKA_DAMAGED = "kafka.damaged"
    """Every batch of records that the broker sends arrives with one bit flipped."""
    KAFKA_TOPIC_DELETED = "kafka.topic_deleted"
    """One that govid publishes to."""
    KAFKA_RECORDS_REMOVED = "kafka.records_removed"
    """Notices of death come in while govid cannot read them, and are removed before it can."""
    KAFKA_ACL_REVOKED = "kafka.acl_revoked"
    """One operation on one topic is not allowed for a while."""
    KAFKA_CERTIFICATES_REPLACED = "kafka.certificates_replaced"
    """The file of authorities is cut off for a while, then complete and longer."""
    BROKER_FROZEN = "broker.frozen"
    BROKER_KILLED = "broker.killed"


HANDLERS = (Kind.HANDLER_RAISES, Kind.HANDLER_MEETS_OUTAGE, Kind.HANDLER_DIES)
"""Those that wait for an event, and not for a time."""


SECURED_ONLY = (Kind.KAFKA_ACL_REVOKED, Kind.KAFKA_CERTIFICATES_REPLACED)
"""Those that need TLS. Damage needs a connection without it, so one run never meets both."""
ONCE = (Kind.KAFKA_DAMAGED, Kind.DATABASE_FAILED_OVER, Kind.DATABASE_CERTIFICATES_REPLACED)
"""Others that a run meets once or never: a pair can fail over once, and two replacements of one
file would overlap."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. What of it matters depends on its kind."""

    kind: Kind
    at: float
    """Seconds after the first write."""
    seconds: float
    """How long it lasts."""
    replica: int
    """Whom it hits; `REPLICAS` means the writers."""
    number: int
    """A choice within the kind: which variant, how many bytes, which account."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All that is chosen for one run."""

    seed: int
    faults: tuple[Fault, ...]

    @property
    def kinds(self) -> set[Kind]:
        """Return the classes of faults that this run meets."""
        return {fault.kind for fault in self.faults}

    @property
    def is_secured(self) -> bool:
        """Tell whether govid connects to Kafka by TLS, with a password and the least ACLs."""
        return Kind.KAFKA_DAMAGED not in self.kinds


def plan(seed: int) -> Plan:
    """Return the plan of *seed*: four faults or more."""
    round_number, place = divmod(seed, SEEDS_IN_A_ROUND)
    deck = list(Kind)
    _dice(f"round {round_number}").shuffle(deck)
    _separate(deck)
    dice = _dice(f"seed {seed}")
    others = [one for one in deck if one not in {*ONCE, *SECURED_ONLY}]
    kinds = deck[place::SEEDS_IN_A_ROUND] + dice.choices(others, k=dice.randint(0, 2))
    faults = sorted((_fault(kind, dice) for kind in kinds), key=lambda fault: fault.at)
    return Plan(seed=seed, faults=tuple(faults))


def _separate(deck: list[Kind]) -> None:
    """Let another seed meet the kinds that need TLS than the one that meets damage."""
    seed = deck.index(Kind.KAFKA_DAMAGED) % SEEDS_IN_A_ROUND
    fixed = {Kind.KAFKA_DAMAGED, *SECURED_ONLY}
    for kind in SECURED_ONLY:
        own = deck.index(kind)
        if own % SEEDS_IN_A_ROUND == seed:
            other = next(
                n for n, one in enumerate(deck) if n % SEEDS_IN_A_ROUND != seed and one not in fixed
            )
            deck[own], deck[other] = deck[other], deck[own]


def _fault(kind: Kind, dice: random.Random) -> Fault:
    longest = 3.0
    if kind is Kind.REPLICA_FROZEN:
        # Longer than its leases last.
        seconds = dice.uniform(LEASE_SECONDS + 0.3, LEASE_SECONDS + 1.5)
    else:
        seconds = dice.uniform(0.2, longest)
    return Fault(
        kind=kind,
        at=0.0 if kind in HANDLERS else round(dice.uniform(0.1, WRITING_SECONDS - 1), 2),
        seconds=round(seconds, 2),
        replica=dice.randrange(REPLICAS + 1),
        number=dice.randrange(1_000_000),
    )


def _dice(of: str) -> random.Random:
    return random.Random(of)  # noqa: S311 - chance, not secrecy
