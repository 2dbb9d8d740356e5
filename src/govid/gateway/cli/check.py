"""`govid check`: lists everything that would keep `govid serve` from starting or publishing.

It is not in one module with `config`, which must not import the Kafka client (I13).
"""

import asyncio
from typing import Any

import click
import msgspec
import rich_click

from govid.gateway.checks.accounts import account_warnings
from govid.gateway.checks.database_hosts import inspect_hosts
from govid.gateway.checks.kafka import check_kafka
from govid.gateway.checks.production import (
    backend_problems,
    backend_warnings,
    blocking_problems,
    warnings,
)
from govid.gateway.checks.roles import role_warnings
from govid.gateway.cli.errors import ExitCode
from govid.gateway.cli.output import Output, json_option
from govid.gateway.cli.target import load_settings
from govid.gateway.settings import Settings


class CheckFindings(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of a check. Faults keep `govid serve` from starting, warnings do not."""

    faults: list[str]
    warnings: list[str]
    relay_faults: list[str] = []
    """Faults with which `govid serve` starts but cannot publish."""

    def format_lines(self) -> list[str]:
        """Return one line of text per finding."""
        return [
            *(f"fault: {one}" for one in (*self.faults, *self.relay_faults)),
            *(f"warning: {one}" for one in self.warnings),
        ]


async def collect_findings(settings: Settings) -> CheckFindings:
    """Check *settings*, the database and Kafka."""
    in_kafka = await check_kafka(settings)
    hosts = await inspect_hosts(settings.bus.database_url)
    return CheckFindings(
        faults=[*blocking_problems(settings), *await backend_problems(settings, hosts)],
        warnings=[
            *warnings(settings),
            *await backend_warnings(settings, hosts),
            *in_kafka.warnings,
            *await role_warnings(settings),
            *await account_warnings(settings),
        ],
        relay_faults=in_kafka.relay_faults,
    )


@click.command("check", cls=rich_click.RichCommand, epilog="Example: govid check && govid serve")
@json_option
def command(as_json: bool) -> None:
    """List every fault of the settings and the backends, as `govid serve` would.

    Exits with 5 if there is a fault. A Kafka that does not answer is not a fault.
    """
    found = asyncio.run(collect_findings(load_settings()))
    output = Output(as_json=as_json)
    if as_json:
        output.print_document(found)
    else:
        count = len(found.faults) + len(found.relay_faults)
        output.print_text(
            "\n".join([*found.format_lines(), "1 fault" if count == 1 else f"{count} faults"])
        )
    if found.faults or found.relay_faults:
        context: Any = click.get_current_context()
        context.exit(ExitCode.WRONG)
