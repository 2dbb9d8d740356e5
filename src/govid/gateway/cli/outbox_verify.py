"""`govid outbox verify`: proves that nothing is missing, or says what is, and what to do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import msgspec
import rich_click

from govid.bus import Outage
from govid.bus.conservation import Conservation, Range, Tally
from govid.bus.findings import Finding, lost_events
from govid.bus.inspection import STATES
from govid.bus.kafka.archive import reading
from govid.bus.kafka.cleanup import silence_aiokafka
from govid.bus.kafka.proof import KafkaProof, KafkaTally
from govid.gateway.cli.acting import at_head
from govid.gateway.cli.errors import ExitCode, Unreachable
from govid.gateway.cli.output import Output, json_option, note
from govid.gateway.cli.progress import Progress
from govid.gateway.cli.selectors import MOMENT
from govid.gateway.cli.settings import Target, kafka_silence, target

MOST_FINDINGS = 1_000
"""How many findings are told one by one; all of them are counted."""


class Report(msgspec.Struct, kw_only=True):
    """What was proved, and what was found."""

    since: datetime | None
    until: datetime
    events: int = 0
    unaddressed: int = 0
    deliveries: Mapping[str, Mapping[str, int]] = {}
    kafka: KafkaTally | None = None
    found: int = 0
    findings: list[Finding] = []

    def add(self, findings: list[Finding]) -> None:
        """Count *findings*, and keep those that will be told."""
        self.found += len(findings)
        self.findings += findings[: MOST_FINDINGS - len(self.findings)]


@click.command(
    "verify", cls=rich_click.RichCommand, epilog="Example: govid outbox verify --since 7d"
)
@click.option("--since", type=MOMENT, help="Events from then on: a time, or 15m, 2h, 7d.")
@click.option("--until", type=MOMENT, help="Events from before then.")
@click.option("--without-kafka", is_flag=True, help="Prove what the database says, and no more.")
@json_option
def verify(
    since: datetime | None, until: datetime | None, without_kafka: bool, as_json: bool
) -> None:
    """Prove that every event is exactly once at each of its subscribers, and in Kafka.

    Each is pending, waiting, parked, dead, or has a receipt; each receipt of the relay names a
    record that is really there; no number of a key is missing. Only reads, and may run beside
    traffic. Records that cannot be read are a finding. Exits with 5 if something is wrong; every
    finding says what to do.
    """
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until.")
    report = asyncio.run(_verify(target(), since, until, without_kafka=without_kafka))
    output = Output(as_json=as_json)
    if as_json:
        output.document(report)
    else:
        _tell(output, report)
    if report.found:
        context: Any = click.get_current_context()
        context.exit(ExitCode.WRONG)


async def _verify(
    place: Target, since: datetime | None, until: datetime | None, *, without_kafka: bool
) -> Report:
    async with at_head(place) as connection:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        range_ = Range.of(since, until, now=now, kept_days=place.settings.bus.kept_days)
        report = Report(since=since, until=until or now)
        if without_kafka:
            note("Kafka is not asked.")
            await _judge(connection, range_, report)
            return report
        if not place.kafka_bootstrap_servers:
            raise Unreachable(
                "no Kafka is known.",
                "Set GOVID_KAFKA_BOOTSTRAP_SERVERS, or prove the rest with --without-kafka.",
            )
        silence_aiokafka()
        try:
            async with reading(place.kafka_bootstrap_servers) as archive:
                await _judge(connection, range_, report)
                settings = msgspec.structs.replace(
                    place.settings.bus, kafka_bootstrap_servers=place.kafka_bootstrap_servers
                )
                proof = KafkaProof(
                    settings,
                    connection,
                    archive,
                    range_,
                    born_at=_born_at(place),
                )
                report.add(await proof.survey())
                await _watch("Reading partitions", _steps(proof), proof.run(), report)
                report.kafka = proof.tally
        except Outage as error:
            raise await kafka_silence(place, "--without-kafka proves the rest.") from error
    return report


async def unproved_events(
    place: Target, connection: Any, since: datetime | None, until: datetime | None
) -> list[UUID]:
    """Return the events that receipts claim to be in Kafka, and that Kafka does not hold.

    Raises:
        Unreachable: Kafka does not answer.
    """
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    range_ = Range.of(since, until, now=now, kept_days=place.settings.bus.kept_days)
    report = Report(since=since, until=until or now)
    settings = msgspec.structs.replace(
        place.settings.bus, kafka_bootstrap_servers=place.kafka_bootstrap_servers
    )
    silence_aiokafka()
    try:
        async with reading(place.kafka_bootstrap_servers) as archive:
            proof = KafkaProof(settings, connection, archive, range_, born_at=_born_at(place))
            await proof.survey()
            await _watch("Reading partitions", _steps(proof), proof.run(), report)
    except Outage as error:
        raise await kafka_silence(place) from error
    return proof.unproved


def _steps(proof: KafkaProof) -> int:
    """Return how many items *proof* yields: one for each partition, and what Kafka has lost."""
    return len(proof.places) + 1


def _born_at(place: Target) -> datetime | None:
    """Return when the in-memory broker of `govid dev` was started, if that is the Kafka."""
    running = place.running
    if running is None or running.kafka_bootstrap_servers != place.kafka_bootstrap_servers:
        return None
    return running.started_at if running.kafka_in_memory else None


async def _judge(connection: Any, range_: Range, report: Report) -> None:
    conservation = Conservation(connection, range_)
    tally: Tally = conservation.tally
    await _watch(
        "Judging events",
        await conservation.count(),
        _grouped(conservation.run()),
        report,
        lambda: tally.events,
    )
    report.events, report.unaddressed = tally.events, tally.unaddressed
    report.deliveries = tally.states


async def _grouped(findings: AsyncIterator[list[Finding]]) -> AsyncIterator[list[Finding]]:
    """Pass *findings* on, and those of lost events at the end, in one line a subscriber."""
    lost: dict[str, Finding] = {}
    async for found in findings:
        for one in found:
            if one.problem == "lost" and one.subscriber and one.event_id:
                first = lost.get(one.subscriber)
                lost[one.subscriber] = one if first is None else _joined(first, one)
        yield [one for one in found if one.problem != "lost"]
    yield [*lost.values()]


def _joined(first: Finding, other: Finding) -> Finding:
    ids = [one.event_id for one in (first, other) if one.event_id is not None]
    return lost_events(str(first.subscriber), min(ids), first.count + other.count)


async def _watch(
    phase: str,
    total: int,
    findings: AsyncIterator[list[Finding]],
    report: Report,
    done: Callable[[], int] | None = None,
) -> None:
    """Collect *findings*; *done* of *total* is what it says, or how many came."""
    came = 0
    with Progress(phase, total) as progress:
        async for found in findings:
            report.add(found)
            came += 1
            progress.at(done() if done else came)


def _tell(output: Output, report: Report) -> None:
    rows = [
        (name, *(states.get(state, 0) for state in STATES))
        for name, states in sorted(report.deliveries.items())
    ]
    output.table(("subscriber", *STATES), rows, nothing="")
    for finding in report.findings:
        output.text(finding.line())
    if report.found > len(report.findings):
        click.echo(f"... and {report.found - len(report.findings)} more.")
    note(
        f"{report.events} events, each exactly once at each of its subscribers."
        if not report.found
        else f"{report.events} events, {report.found} findings."
    )
    if report.unaddressed:
        note(
            f"{report.unaddressed} events are older than the noting of addressees: that nobody is "
            "missing cannot be proved for them."
        )
    if report.kafka is not None:
        _tell_of_kafka(report.kafka)


def _tell_of_kafka(kafka: KafkaTally) -> None:
    note(f"{kafka.proved} receipts of the relay were proved by records in Kafka.")
    unproved = {
        "that Kafka has let go of, in its own time": kafka.expired,
        "of an earlier life of the in-memory broker": kafka.forgotten,
        "whose offset Kafka never told": kafka.unplaced,
        "in batches that cannot be read": kafka.unreadable,
    }
    for which, count in unproved.items():
        if count:
            note(f"{count} more cannot be proved: those {which}.")
    if kafka.ahead_since is not None:
        moment = kafka.ahead_since.astimezone(UTC).isoformat(timespec="seconds")
        note(
            f"Kafka is ahead of this database since {moment}: it holds events that this database "
            "never stored. After a restore that is so; docs/restore.md says what to do."
        )
