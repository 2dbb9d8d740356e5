"""`govid audit verify`: proves that nothing in the audit log was changed or taken back."""

import asyncio
from pathlib import Path

import click
import msgspec
import rich_click

from govid.bus.audit.checkpoint_file import InvalidCheckpointFile
from govid.bus.audit.keys import AuditKeys
from govid.bus.audit.log_findings import LogFinding
from govid.bus.audit.log_verification import LogVerification, VerifiedCounts
from govid.bus.audit.published_checkpoints import read_published_checkpoints
from govid.bus.audit.signed_notes import Checkpoint
from govid.bus.settings import AuditSettings
from govid.gateway.cli.components import load_audit_settings
from govid.gateway.cli.errors import CommandRefused, ExitCode
from govid.gateway.cli.findings import keep_findings, print_findings
from govid.gateway.cli.output import Output, ProgressDisplay, json_option, print_note
from govid.gateway.cli.target import Installation, connect_at_current_schema, find_installation


class LogReport(msgspec.Struct, kw_only=True):
    """The result of a verification: what was verified, and the findings."""

    verified: VerifiedCounts = msgspec.field(default_factory=VerifiedCounts)
    found: int = 0
    findings: list[LogFinding] = []

    def add_findings(self, findings: list[LogFinding]) -> None:
        """Count *findings*, and keep those that will be listed."""
        self.found += keep_findings(self.findings, findings)


@click.command(
    "verify",
    cls=rich_click.RichCommand,
    epilog="Example: govid audit verify --checkpoints published.jsonl",
)
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compare with these published checkpoints too: signed notes, or records of the topic.",
)
@json_option
def verify(checkpoints: Path | None, as_json: bool) -> None:
    """Prove that no entry of the audit log was changed, removed, inserted or taken back.

    Computes the tree again, and compares it with every checkpoint of the database, with the
    checkpoint file and with published checkpoints. The command only reads and may run during
    traffic. It exits with 5 if there are findings; each finding names its remedy.
    """
    installation = find_installation()
    settings = load_audit_settings(installation)
    report = asyncio.run(_verify(installation, settings, checkpoints))
    output = Output(as_json=as_json)
    if as_json:
        output.print_document(report)
    else:
        _print_report(output, report)
    if report.found:
        click.get_current_context().exit(ExitCode.WRONG)


async def _verify(
    installation: Installation, settings: AuditSettings, file: Path | None
) -> LogReport:
    report = LogReport()
    keys = AuditKeys.from_settings(settings)
    published = _read_published(settings, file, keys, report)
    async with (
        connect_at_current_schema(installation) as connection,
        # All pages have to see the same log, which grows meanwhile.
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        verification = LogVerification(connection, keys, settings, published)
        report.verified = verification.counts
        with ProgressDisplay("Verifying entries", await verification.count_leaves()) as progress:
            async for findings in verification.run():
                report.add_findings(findings)
                progress.update(verification.counts.leaves)
    return report


def _read_published(
    settings: AuditSettings, file: Path | None, keys: AuditKeys, report: LogReport
) -> list[Checkpoint]:
    """Return the published checkpoints of *file*, and that of the installation's own file.

    Raises:
        CommandRefused: a file cannot be read.
    """
    own = settings.checkpoint_file
    files = [file] if file is not None else []
    if own is not None and own.exists():
        files.append(own)
    published: list[Checkpoint] = []
    for path in files:
        try:
            found, findings = read_published_checkpoints(path, keys)
        except (OSError, InvalidCheckpointFile) as error:
            cause = (error.strerror if isinstance(error, OSError) else None) or "no regular file"
            raise CommandRefused(
                f"{path} cannot be read: {cause}.", "Give a file of published checkpoints."
            ) from error
        published += found
        report.add_findings(list(findings))
    return published


def _print_report(output: Output, report: LogReport) -> None:
    print_findings(output, report.findings, report.found - len(report.findings))
    verified = report.verified
    print_note(
        f"{verified.entries} entries, {verified.leaves} leaves, {verified.checkpoints} checkpoints "
        f"and {verified.published} published ones: "
        + (f"{report.found} findings." if report.found else "nothing was changed or taken back.")
    )
    if verified.purged:
        print_note(f"{verified.purged} entries were removed by retention; their leaves are there.")
