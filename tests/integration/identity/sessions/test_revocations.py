"""Revocation where living sessions are remembered: exact here, a second elsewhere, never deaf."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from govid.bus import BusSettings, Principal
from govid.identity.errors import AccountsUnreachable, InvalidToken
from tests.integration.identity.conftest import CAUSE, Parts
from tests.integration.identity.sessions.processes import REVOKE, Process, remembering, until

DEADLINE_SECONDS = 10
KILL_THE_EAR = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'govid ear' AND datname = current_database()
"""


@pytest.fixture
async def token(identity: Parts) -> str:
    """Return the token of somebody who has signed in."""
    await identity.register()
    return await identity.login()


@pytest.fixture
async def here(identity: Parts, bus_settings: BusSettings) -> AsyncIterator[Process]:
    """Return a process that remembers."""
    async with remembering(identity, bus_settings) as process:
        yield process


@pytest.fixture
async def there(identity: Parts, bus_settings: BusSettings) -> AsyncIterator[Process]:
    """Return another one."""
    async with remembering(identity, bus_settings) as process:
        yield process


async def principal_of(identity: Parts, token: str) -> Principal:
    return await identity.authenticate(token)


async def test_a_session_is_asked_about_once_in_a_while(here: Process, token: str) -> None:
    assert await here.read(token) == await here.read(token)
    assert here.reader.asked == 1


async def test_what_writes_is_never_let_in_by_memory(here: Process, token: str) -> None:
    await here.read(token)
    await here.authentication.authenticate(token)
    await here.authentication.authenticate(token, writes=True)
    assert here.reader.asked == 3


async def test_r12_the_process_that_ends_a_session_refuses_it_at_once(
    identity: Parts, here: Process, token: str
) -> None:
    await here.read(token)
    await here.ending.logout(await principal_of(identity, token), CAUSE)
    with pytest.raises(InvalidToken):
        await here.read(token)


async def test_r12_a_logout_everywhere_is_exact_here_for_all_sessions(
    identity: Parts, here: Process, token: str
) -> None:
    other = await identity.login()
    await here.read(token)
    await here.read(other)
    await here.ending.logout_all(await principal_of(identity, token), CAUSE)
    refusals = await asyncio.gather(here.read(token), here.read(other), return_exceptions=True)
    assert [type(refusal) for refusal in refusals] == [InvalidToken, InvalidToken]


async def test_r12_another_process_hears_of_it_before_its_memory_is_too_old(
    identity: Parts, here: Process, there: Process, token: str
) -> None:
    principal = await principal_of(identity, token)
    forgotten = asyncio.Event()
    there.revocations.sessions.forget_session = lambda _: forgotten.set()  # type: ignore[method-assign]  # watched
    await there.read(token)
    await here.ending.logout(principal, CAUSE)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await forgotten.wait()


async def test_r12_a_process_started_afterwards_knows_it(
    identity: Parts, bus_settings: BusSettings, here: Process, token: str
) -> None:
    await here.ending.logout(await principal_of(identity, token), CAUSE)
    async with remembering(identity, bus_settings) as restarted:
        with pytest.raises(InvalidToken):
            await restarted.read(token)


async def test_r12_a_killed_listener_is_noticed_and_nothing_is_remembered(
    here: Process, token: str
) -> None:
    await here.read(token)
    await here.database.reads.execute(KILL_THE_EAR)
    await until(lambda: not here.hears)
    await here.database.reads.execute(REVOKE)
    with pytest.raises(InvalidToken):
        await here.read(token)
    await until(lambda: here.hears)


async def test_r12_without_a_database_nobody_passes(here: Process, token: str) -> None:
    await here.read(token)
    here.database.reads.terminate()
    await here.database.bus_reads.execute(KILL_THE_EAR)
    await until(lambda: not here.hears)
    with pytest.raises(AccountsUnreachable):
        await here.read(token)


async def test_a_word_of_a_later_release_makes_all_be_forgotten(
    here: Process, token: str, database_url: str
) -> None:
    forgotten = asyncio.Event()
    here.revocations.sessions.forget_all = forgotten.set  # type: ignore[method-assign]  # watched
    connection = await asyncpg.connect(database_url)
    await connection.execute("SELECT pg_notify('govid_revoked', 'x:something')")
    await connection.close()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await forgotten.wait()
