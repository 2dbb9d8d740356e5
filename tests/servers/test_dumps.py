"""A dump is restored on another server, as docs/operations.md says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.debian_postgres import DebianServer, debian_server
from tests.servers.documented_backup import BackupFolder, read_blocks
from tests.servers.test_database_roles import (
    DATABASE,
    MEMBERS,
    WEB,
    govid,
    server_with_roles,
)

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(180)]

NEW_PASSWORD = "ALTER ROLE {} PASSWORD '{}'"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianServer]:
    """Return the server of which dumps are made, with govid's roles."""
    with server_with_roles(tmp_path_factory.mktemp("migrate")) as server:
        yield server


@pytest.fixture(scope="module")
def backups(source: DebianServer) -> BackupFolder:
    """Return a folder with a dump of the roles and one of the database."""
    backups = BackupFolder(source.folder)
    dumping, _ = read_blocks("Dumps")
    backups.run(backups.localize(dumping), source)
    return backups


@pytest.fixture
def target() -> Iterator[DebianServer]:
    """Return another server, without govid's roles."""
    with debian_server() as server:
        yield server


async def test_dump_with_its_roles_is_sound(
    backups: BackupFolder, target: DebianServer, kafka_address: str, tmp_path: Path
) -> None:
    backups.run(backups.localize(read_blocks("Dumps")[1]), target)
    await target.execute(*(NEW_PASSWORD.format(name, target.password) for name in MEMBERS))
    code, lines = govid(
        tmp_path,
        target.url(DATABASE, WEB),
        "check",
        GOVID_KAFKA_BOOTSTRAP_SERVERS=kafka_address,
    )
    assert code == 0, lines
    # The login may do no more than before.
    assert [line for line in lines if "the database role web" in line] == []


async def test_dump_without_its_owner_gets_roles_anew(
    backups: BackupFolder, target: DebianServer, kafka_address: str, tmp_path: Path
) -> None:
    _, restoring = backups.localize(read_blocks("Dumps")[1]).splitlines()
    restoring += " --no-owner --no-privileges"
    backups.run(restoring, target)
    code, lines = govid(tmp_path, target.url(DATABASE), "migrate", "--database-roles")
    assert code == 0, lines
    await target.execute(
        f"CREATE ROLE {WEB} LOGIN PASSWORD '{target.password}' IN ROLE {MEMBERS[WEB]}"
    )
    code, lines = govid(
        tmp_path,
        target.url(DATABASE, WEB),
        "check",
        GOVID_KAFKA_BOOTSTRAP_SERVERS=kafka_address,
    )
    assert code == 0, lines
