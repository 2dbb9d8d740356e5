"""`govid outbox verify`: audits the outbox against its deliveries and against Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import msgspec
import rich_click

from govid.bus import Outage
from govid.bus.kafka.client_lifecycle import silence_client_logs
from govid.bus.kafka.topic_reader import open_reader
from govid.bus.operations.audit_findings import AuditFinding, merge_lost_findings
from govid.bus.operations.inspection import DELIVERY_STATES
from govid.bus.operations.verify_kafka import KafkaAudit, KafkaAuditResult
from govid.bus.operations.verify_outbox import AuditRange, AuditTotals, DeliveryAudit
from govid.gateway.cli.errors import BackendUnreachable, ExitCode
from govid.gateway.cli.filters import check_period, period_options
from govid.gateway.cli.findings import keep_findings, print_findings
from govid.gateway.cli.output import Output, ProgressDisplay, json_option, print_note
from govid.gateway.cli.target import (
    Installation,
    connect_at_current_schema,
    explain_kafka_outage,
    find_installation,
)


class VerifyReport(msgspec.Struct, kw_only=True):
    """The result of the audit: the range, the counts and the findings."""

    since: datetime | None
    until: datetime
    events: int = 0
    unaddressed: int = 0
    deliveries: Mapping[str, Mapping[str, int]] = {}
    kafka: KafkaAuditResult | None = None
    found: int = 0
    findings: list[AuditFinding] = []

    def add_findings(self, findings: list[AuditFinding]) -> None:
        """Count *findings*, and keep those that will be listed."""
        self.found += keep_findings(self.findings, findings)


@click.command(
    "verify", cls=rich_click.RichCommand, epilog="Example: govid outbox verify --since 7d"
)
@period_options
@click.option("--without-kafka", is_flag=True, help="Audit the database only.")
@json_option
def verify(
    since: datetime | None, until: datetime | None, without_kafka: bool, as_json: bool
) -> None:
    """Prove that every event is exactly once at each of its subscribers and in Kafka.

    Each delivery is pending, waiting, parked or dead, or has a receipt. Each receipt of the outbox
    relay names a record that Kafka holds. The sequence of a key has no gap. Records that cannot be
    read are findings. The command only reads and may run during traffic. It exits with 5 if there
    are findings; each finding names its remedy.
    """
    check_period(since, until)
    report = asyncio.run(_verify(find_installation(), since, until, without_kafka=without_kafka))
    output = Output(as_json=as_json)
    if as_json:
        output.print_document(report)
    else:
        _print_report(output, report)
    if report.found:
        context: Any = click.get_current_context()
        context.exit(ExitCode.WRONG)


async def _verify(
    installation: Installation,
    since: datetime | None,
    until: datetime | None,
    *,
    without_kafka: bool,
) -> VerifyReport:
    async with connect_at_current_schema(installation) as connection:
        range_, report = await _begin_report(installation, connection, since, until)
        if without_kafka:
            print_note("Kafka is not checked.")
            await _audit_database(connection, range_, report)
            return report
        if not installation.kafka_bootstrap_servers:
            raise BackendUnreachable(
                "no Kafka is configured.",
                "Set GOVID_KAFKA_BOOTSTRAP_SERVERS, or audit the database with --without-kafka.",
            )
        remedy = "--without-kafka audits the database only."
        async with _open_kafka_audit(installation, connection, range_, remedy) as audit:
            await _audit_database(connection, range_, report)
            await _audit_kafka(audit, report)
    return report


async def find_unproved_events(
    installation: Installation, connection: Any, since: datetime | None, until: datetime | None
) -> list[UUID]:
    """Return the ids of events whose receipts name a record that Kafka does not hold.

    Raises:
        BackendUnreachable: Kafka does not answer.
    """
    range_, report = await _begin_report(installation, connection, since, until)
    async with _open_kafka_audit(installation, connection, range_) as audit:
        await _audit_kafka(audit, report)
    return audit.lost_event_ids


async def _begin_report(
    installation: Installation, connection: Any, since: datetime | None, until: datetime | None
) -> tuple[AuditRange, VerifyReport]:
    """Return the range to audit and an empty report of it; by default it ends at present."""
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    range_ = AuditRange.for_period(
        since, until, now=now, retained_days=installation.settings.bus.row_retention_days
    )
    return range_, VerifyReport(since=since, until=until or now)


@asynccontextmanager
async def _open_kafka_audit(
    installation: Installation, connection: Any, range_: AuditRange, remedy: str = ""
) -> AsyncIterator[KafkaAudit]:
    """Connect to Kafka during the block; *remedy* is shown if it does not answer."""
    servers = installation.kafka_bootstrap_servers
    settings = msgspec.structs.replace(installation.settings.bus, kafka_bootstrap_servers=servers)
    started_at = _broker_started_at(installation)
    silence_client_logs()
    try:
        async with open_reader(installation.kafka_clients) as reader:
            yield KafkaAudit(settings, connection, reader, range_, broker_started_at=started_at)
    except Outage as error:
        raise await explain_kafka_outage(installation, remedy) from error


async def _audit_kafka(audit: KafkaAudit, report: VerifyReport) -> None:
    report.add_findings(await audit.inspect_topics())
    # One item per partition, and one for the lost records of all.
    total = len(audit.partitions) + 1
    await _collect_findings("Reading partitions", total, audit.run(), report)
    report.kafka = audit.result


def _broker_started_at(installation: Installation) -> datetime | None:
    """Return the start time of the in-memory broker of `govid dev`, if that is this Kafka."""
    running = installation.running
    if running is None or running.kafka_bootstrap_servers != installation.kafka_bootstrap_servers:
        return None
    return running.started_at if running.kafka_in_memory else None


async def _audit_database(connection: Any, range_: AuditRange, report: VerifyReport) -> None:
    audit = DeliveryAudit(connection, range_)
    totals: AuditTotals = audit.totals
    await _collect_findings(
        "Auditing events",
        await audit.count_events(),
        merge_lost_findings(audit.run()),
        report,
        lambda: totals.events,
    )
    report.events, report.unaddressed = totals.events, totals.unaddressed
    report.deliveries = totals.states


async def _collect_findings(
    phase: str,
    total: int,
    findings: AsyncIterator[list[AuditFinding]],
    report: VerifyReport,
    done: Callable[[], int] | None = None,
) -> None:
    """Collect *findings* and show the progress: what *done* returns, or the number of items."""
    received = 0
    with ProgressDisplay(phase, total) as progress:
        async for found in findings:
            report.add_findings(found)
            received += 1
            progress.update(done() if done else received)


def _print_report(output: Output, report: VerifyReport) -> None:
    rows = [
        (name, *(states.get(state, 0) for state in DELIVERY_STATES))
        for name, states in sorted(report.deliveries.items())
    ]
    output.print_table(("subscriber", *DELIVERY_STATES), rows, empty_text="")
    print_findings(output, report.findings, report.found - len(report.findings))
    print_note(
        f"{report.events} events, each exactly once at each of its subscribers."
        if not report.found
        else f"{report.events} events, {report.found} findings."
    )
    if report.unaddressed:
        print_note(
            f"{report.unaddressed} events were stored before subscribers were recorded with each "
            "event: a missing delivery cannot be detected for them."
        )
    if report.kafka is not None:
        _print_kafka_result(report.kafka)


def _print_kafka_result(kafka: KafkaAuditResult) -> None:
    print_note(f"{kafka.proved} receipts of the relay match a record in Kafka.")
    unchecked = {
        "whose records Kafka removed by its retention": kafka.expired,
        "of an earlier run of the in-memory broker": kafka.forgotten,
        "whose offset Kafka has not reported": kafka.unplaced,
        "in batches that cannot be read": kafka.unreadable,
    }
    for which, count in unchecked.items():
        if count:
            print_note(f"{count} more receipts cannot be checked: those {which}.")
    if kafka.ahead_since is not None:
        moment = kafka.ahead_since.astimezone(UTC).isoformat(timespec="seconds")
        print_note(
            f"Kafka is ahead of this database since {moment}: it holds events that this database "
            "never stored. This is expected after a restore: follow docs/restore.md."
        )
