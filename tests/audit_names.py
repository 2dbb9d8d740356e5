"""Which entries of the audit log the tests of HTTP and of commands have produced.

With `--audit-names` a run fails if an entry of `AUDIT_RULES` was produced by none of these tests.
Each test that ends adds the names in its database to a file; the controller of the run reads all.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from govid.bus.audit.rules import AUDIT_RULES

FOLDER_VARIABLE = "GOVID_TEST_AUDIT_NAMES"
ROOT = Path(__file__).parent
PRODUCERS = (ROOT / "http", ROOT / "integration" / "cli", ROOT / "kafka", ROOT / "servers")
"""Tests through HTTP or by a command; those of Kafka run the commands on topics."""


def is_producer(test: Path) -> bool:
    """Tell whether the entries of *test* were produced through HTTP or a command."""
    return FOLDER_VARIABLE in os.environ and any(test.is_relative_to(one) for one in PRODUCERS)


async def record_names(database_url: str) -> None:
    """Add the names of all entries of a database to those of this run."""
    try:
        connection = await asyncpg.connect(database_url)
    except asyncpg.InvalidCatalogNameError:
        return  # The test has dropped its database.
    try:
        rows = await connection.fetch("SELECT DISTINCT event FROM audit.entry")
    finally:
        await connection.close()
    file = Path(os.environ[FOLDER_VARIABLE]) / str(os.getpid())
    with file.open("a") as handle:
        handle.writelines(f"{row['event']}\n" for row in rows)


def begin_run(config: pytest.Config) -> None:
    """Prepare the folder of a run with `--audit-names`; the workers inherit its name."""
    if config.getoption("--audit-names") and FOLDER_VARIABLE not in os.environ:
        os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="govid-audit-names-")


def missing_names(config: pytest.Config) -> list[str]:
    """Return the names without a producer, at the end of a run with `--audit-names`."""
    is_worker = hasattr(config, "workerinput")
    if is_worker or not config.getoption("--audit-names"):
        return []
    return sorted({rule.name for rule in AUDIT_RULES.values()} - set(_produced()))


def _produced() -> Iterator[str]:
    for file in Path(os.environ[FOLDER_VARIABLE]).iterdir():
        yield from file.read_text().split()
