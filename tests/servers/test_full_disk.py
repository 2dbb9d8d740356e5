"""A full disk: requests get a 503, nothing is lost, and it heals by itself."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from govid.gateway.migrations import upgrade
from tests.backends.debian_postgres import SYSTEM_USER, DebianServer, a_folder, debian_server
from tests.http.client import NHS, Client
from tests.http.serving import demonstration, serving

SIZE = "64m"


@contextmanager
def small_disk(folder: Path, size: str = SIZE) -> Iterator[None]:
    """Mount a file system of *size* at *folder*, in the notation of `mount`."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "govid", str(folder)],  # noqa: S607
        check=False,
        capture_output=True,
    )
    if mounted.returncode and os.environ.get("GOVID_CI") == "1":
        pytest.fail("a file system cannot be mounted here")
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S607


@pytest.fixture
def disk() -> Iterator[Path]:
    """Return the folder of a small disk, on which a tablespace may be."""
    with a_folder() as folder, small_disk(folder):
        yield folder


@pytest.fixture
def server(disk: Path) -> Iterator[DebianServer]:
    """Return a server whose table of accounts, which is empty, is on the small disk."""
    space = disk / "space"
    space.mkdir(mode=0o700)
    shutil.chown(space, SYSTEM_USER)
    with debian_server() as running:
        upgrade(running.url())
        asyncio.run(
            running.execute(
                f"CREATE TABLESPACE small LOCATION '{space}'",
                "ALTER TABLE identity.account SET TABLESPACE small",
            )
        )
        yield running


def fill(disk: Path) -> Path:
    """Fill the disk; return the file that fills it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(b"x" * 4096)
    return filler


@pytest.mark.timeout(240)
async def test_c4_full_disk_is_unavailable_and_heals(
    server: DebianServer, disk: Path, tmp_path: Path
) -> None:
    with serving(demonstration(server.url(), tmp_path)) as url:
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            client = Client(http)
            filler = fill(disk)
            refused = await client.register(NHS)
            assert (refused.status_code, refused.headers.get("retry-after")) == (503, "5")
            assert refused.json()["type"] == "urn:govid:problem:unavailable"
            filler.unlink()
            assert (await client.register(NHS)).status_code in {200, 201}
