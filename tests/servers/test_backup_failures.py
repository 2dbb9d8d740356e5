"""Backups and restores that fail: docs/operations.md quotes PostgreSQL and has the remedy."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from govid.gateway.migrations import upgrade
from tests.backends.debian_postgres import (
    SYSTEM_USER,
    DebianServer,
    a_folder,
    debian_server,
    successor_of,
)
from tests.http.client import Client
from tests.http.serving import demonstration, serving
from tests.servers.documented_backup import (
    BACKUP_LOGIN,
    BackupFolder,
    find_meaning,
    read_blocks,
)
from tests.servers.test_full_disk import fill, small_disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def server() -> Iterator[DebianServer]:
    """Return a server of the test's own, with an empty database."""
    with debian_server() as running:
        yield running


@pytest.fixture
def backups() -> Iterator[BackupFolder]:
    """Return a folder for backups."""
    with a_folder() as folder:
        yield BackupFolder(folder)


@pytest.fixture
def successor(server: DebianServer) -> Iterator[DebianServer]:
    """Return a server without a data folder, for what is restored of `server`."""
    with successor_of(server) as restored:
        yield restored


def refused(act: Callable[[], object]) -> str:
    """Return what the programs said that *act* runs, one of which fails."""
    with pytest.raises(subprocess.CalledProcessError) as error:
        act()
    return str(error.value.stdout)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def fetch_value(server: DebianServer, query: str) -> object:
    connection = await asyncpg.connect(server.url())
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def archive_fails(server: DebianServer) -> bool:
    """Ask what the document tells operators to watch."""
    (alarm,) = read_blocks("Archive the WAL", "sql")
    return bool(asyncio.run(fetch_value(server, alarm)))


def switch_wal(server: DebianServer) -> str:
    """Write something, and let the file of WAL with it be archived; return its name."""
    asyncio.run(
        server.execute(
            "CREATE TABLE IF NOT EXISTS moment (at timestamptz)",
            "INSERT INTO moment SELECT now()",
        )
    )
    name = asyncio.run(fetch_value(server, "SELECT pg_walfile_name(pg_switch_wal())"))
    return str(name)


def test_backup_without_wal_is_refused_and_starts_with_an_archive_only(
    server: DebianServer, backups: BackupFolder, successor: DebianServer
) -> None:
    backups.configure(server)
    taking, verifying = read_blocks("Take a base backup")[0].splitlines()
    taking = backups.localize(taking).replace("stream", "none")
    backups.run(taking, server, BACKUP_LOGIN)
    switch_wal(server)
    assert "`--wal-method none`" in find_meaning(
        refused(lambda: backups.run(backups.localize(verifying), server))
    )
    # As if there were no archive.
    shutil.copytree(backups.base, successor.data)
    for path in (successor.data, *successor.data.rglob("*")):
        shutil.chown(path, SYSTEM_USER, SYSTEM_USER)
    with pytest.raises(subprocess.CalledProcessError):
        successor.start()
    assert "Do not remove `backup_label`" in find_meaning((successor.folder / "log").read_text())

    shutil.rmtree(successor.data)
    until(lambda: any(backups.archive.glob("*.backup")))
    verifying = verifying.replace("verifybackup", f"verifybackup -w {backups.archive}")
    backups.run(backups.localize(verifying), server)
    backups.restore(successor)
    until(lambda: not backups.is_recovering(successor))
    assert asyncio.run(fetch_value(successor, "SELECT count(*) FROM moment")) == 1


def test_missing_file_of_the_archive_ends_recovery_before_its_target(
    server: DebianServer, backups: BackupFolder, successor: DebianServer
) -> None:
    backups.configure(server)
    backups.take(server)
    files = [switch_wal(server) for _ in range(3)]
    moment = str(asyncio.run(fetch_value(server, "SELECT now()::text")))
    switch_wal(server)
    server.stop("fast")
    (backups.archive / files[1]).unlink()
    with pytest.raises(subprocess.CalledProcessError):
        backups.restore(successor, moment=moment)
        until(lambda: not (successor.data / "postmaster.pid").exists())
        successor.start()
    log = (successor.folder / "log").read_text()
    assert "is missing in the archive" in find_meaning(log)
    assert f"cannot stat '{backups.archive / files[1]}'" in log


@pytest.mark.parametrize("option", ["", " --no-clean"])
async def test_c4_backup_that_fills_its_disk_fails_and_cannot_be_mistaken_for_one(
    server: DebianServer, backups: BackupFolder, tmp_path: Path, option: str
) -> None:
    await asyncio.to_thread(upgrade, server.url())
    backups.configure(server)
    taking, verifying = backups.localize(read_blocks("Take a base backup")[0]).splitlines()
    backups.base.mkdir()
    with (
        small_disk(backups.base, "16m"),
        serving(demonstration(server.url(), tmp_path)) as url,
    ):
        shutil.chown(backups.base, SYSTEM_USER)
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            failing = asyncio.create_task(
                asyncio.to_thread(
                    refused, lambda: backups.run(taking + option, server, BACKUP_LOGIN)
                )
            )
            await Client(http).citizen()
            assert "the disk of the backup is full" in find_meaning(await failing)
            assert (await http.get("/health/ready")).status_code == 200
        said = refused(lambda: backups.run(verifying, server))
    assert "the backup is not complete" in find_meaning(said)


def test_full_archive_is_noticed_and_continues_without_a_gap(
    server: DebianServer, backups: BackupFolder
) -> None:
    with small_disk(backups.archive, "128m"):
        backups.configure(server)
        first = switch_wal(server)
        until((backups.archive / first).exists)
        until(lambda: not archive_fails(server))
        filler = fill(backups.archive)
        second = switch_wal(server)
        until(lambda: archive_fails(server))
        assert not (backups.archive / second).exists()
        assert (server.data / "pg_wal" / second).exists()

        filler.unlink()
        # A new file wakes up the archiver, which waits for a minute after three failures.
        third = switch_wal(server)
        until((backups.archive / third).exists)
        until(lambda: not archive_fails(server))
        sizes = {(backups.archive / name).stat().st_size for name in (first, second, third)}
        assert sizes == {16 * 1024 * 1024}
