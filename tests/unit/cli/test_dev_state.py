"""What `govid dev` remembers survives crashes, and only its owner can read it."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from govid.gateway.dev.state import CannotStart, DevState, RunningServer, StateFolder


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / ".govid")


def a_server(pid: int) -> RunningServer:
    return RunningServer(
        pid=pid,
        url="http://127.0.0.1:8000",
        database_url="postgresql://postgres@/postgres?host=/x",
        kafka_bootstrap_servers="127.0.0.1:9092",
        kafka_in_memory=True,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_the_first_start_makes_secrets_of_its_own() -> None:
    first, second = DevState(), DevState()
    assert len(first.pseudonym_key) >= 32
    assert len({first.pseudonym_key, first.secret_key, second.secret_key}) == 3
    assert first.password != second.password


def test_what_is_written_is_read_again_and_by_its_owner_only(folder: StateFolder) -> None:
    state = DevState(postgres_folder="/somewhere")
    with folder.lock():
        folder.write(state)
        folder.write(state)
    assert folder.read() == state
    assert stat.S_IMODE(folder.file.stat().st_mode) == 0o600


def test_its_repr_tells_nothing(folder: StateFolder) -> None:
    assert repr(DevState()) == "<DevState>"


def test_a_damaged_file_is_a_fresh_start(folder: StateFolder) -> None:
    with folder.lock():
        folder.file.write_text("{")
    assert folder.read().running is None


def test_a_server_that_lives_is_found(folder: StateFolder) -> None:
    with folder.lock():
        folder.write(DevState(running=a_server(os.getpid())))
    assert folder.find_running_server() == a_server(os.getpid())


def test_a_server_that_was_killed_is_not(folder: StateFolder) -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    with folder.lock():
        folder.write(DevState(running=a_server(pid)))
    assert folder.find_running_server() is None


def test_a_second_server_learns_of_the_first(folder: StateFolder) -> None:
    with folder.lock():
        folder.write(DevState(running=a_server(4711)))
        with pytest.raises(CannotStart, match=r"process 4711, http://127\.0\.0\.1:8000"):
            folder.lock().__enter__()


def test_a_folder_that_cannot_be_made_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = StateFolder(tmp_path / "file" / ".govid")
    with pytest.raises(CannotStart, match="cannot be written") as caught:
        blocked.lock().__enter__()
    assert "GOVID_DATA_DIR" in caught.value.remedy


def test_a_reset_removes_the_data_wherever_it_is(folder: StateFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "postgres").mkdir(parents=True)
    with folder.lock():
        folder.write(DevState(postgres_folder=str(elsewhere / "postgres")))
        (folder.path / "postgres").mkdir()
        folder.delete_contents()
        assert [path.name for path in folder.path.iterdir()] == ["lock"]
    assert not elsewhere.exists()
