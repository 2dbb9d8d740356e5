"""Backends for all tests: real PostgreSQL with real commits, one fresh database a test."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, NoReturn

import hypothesis
import pytest

from govid.bus import BusSettings, Database
from tests import audit_names
from tests.backends import kafka, postgres

# A slow machine is no fault; and what is said of a commit once is said of it again. Elsewhere each
# run looks at other examples.
hypothesis.settings.register_profile(
    "govid", deadline=None, derandomize=os.environ.get("GOVID_CI") == "1"
)
hypothesis.settings.load_profile("govid")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--audit-names",
        action="store_true",
        help="fail if a test of HTTP or of a command produces no entry of some audit event",
    )


def pytest_configure(config: pytest.Config) -> None:
    audit_names.begin_run(config)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if audit_names.missing_names(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if names := audit_names.missing_names(config):
        terminalreporter.section("audit events without a producer", red=True)
        terminalreporter.line(" ".join(names))


def unavailable(reason: str) -> NoReturn:
    """Skip with *reason*; where everything has to run, fail."""
    if os.environ.get("GOVID_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Return the URL of the PostgreSQL server of this run."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def template(postgres_server: str) -> str:
    """Return the name of the migrated template database."""
    return postgres.prepare_template(postgres_server)


@pytest.fixture(scope="session")
def kafka_address() -> Iterator[str]:
    """Return the address of the Kafka that all tests share.

    For the whole session: the worker that started it waits at the end until all others have left.
    """
    try:
        with kafka.shared() as address:
            yield address
    except kafka.Unavailable as error:
        unavailable(str(error))


@pytest.fixture
async def database_url(
    postgres_server: str, template: str, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    """Return the URL of a fresh, migrated database; it is dropped afterwards."""
    url = await postgres.clone(postgres_server, template)
    yield url
    if audit_names.is_producer(request.path):
        await audit_names.record_names(url)
    await postgres.drop(postgres_server, url)


@pytest.fixture
def bus_settings(database_url: str) -> BusSettings:
    """Return settings of a bus on the test's database, without a Kafka at its address."""
    return BusSettings(
        database_url=database_url,
        kafka_bootstrap_servers="127.0.0.1:1",
        pseudonym_key=b"a key for tests, 32 bytes or more",
    )


@pytest.fixture
async def database(bus_settings: BusSettings) -> AsyncIterator[Database]:
    """Return open pools on the test's database."""
    async with Database(bus_settings) as pools:
        yield pools
