"""What the failures of several hosts, or of one, become."""

from typing import Any

import asyncpg
import pytest

from govid.bus.storage.connection import ConnectionFactory, DatabaseUnreachable, SessionRefused

ONE_HOST = "postgresql://govid@a:5432/govid"


def connecting_to(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, url: str = ONE_HOST
) -> ConnectionFactory:
    """Return a factory for *url* whose every attempt fails with *failure*."""

    async def fail(*_: Any) -> None:
        raise failure

    factory = ConnectionFactory(url)
    monkeypatch.setattr(factory, "_connect_to_host", fail)
    return factory


@pytest.mark.parametrize(
    "failure",
    [
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.ConnectionDoesNotExistError("closed"),
        SessionRefused("the database is encoded in LATIN1"),
    ],
)
async def test_an_error_that_explains_itself_is_passed_on_and_not_its_own_cause(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    with pytest.raises(type(failure)) as caught:
        await connecting_to(monkeypatch, failure).connect()
    assert caught.value is failure
    assert failure.__cause__ is None


async def test_the_failure_of_the_network_is_the_cause_of_the_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failure = ConnectionRefusedError()
    with pytest.raises(DatabaseUnreachable) as caught:
        await connecting_to(monkeypatch, failure).connect()
    assert caught.value.__cause__ is failure


async def test_a_url_without_hosts_that_demands_writes_names_its_location(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "postgresql:///govid?target_session_attrs=read-write"
    factory = connecting_to(monkeypatch, OSError("no connection"), url)
    with pytest.raises(DatabaseUnreachable, match="no connection to PostgreSQL"):
        await factory.connect()
