"""Where the data of the embedded PostgreSQL goes, and who may reach a demonstration."""

import os
from pathlib import Path

import pytest

from govid.gateway.cli.errors import CommandError, CommandRefused
from govid.gateway.cli.serving.listening import format_listener_url, open_listener, refuse_exposure
from govid.gateway.dev.postgres import choose_data_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")


def test_a_remembered_folder_stays(tmp_path: Path) -> None:
    assert choose_data_folder(tmp_path / ".govid", str(tmp_path)) == (tmp_path, None)


def test_for_an_ordinary_user_the_data_is_in_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert choose_data_folder(tmp_path / ".govid", None) == (tmp_path / ".govid" / "postgres", None)


@as_root
def test_a_project_that_is_closed_to_others_keeps_its_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "closed"
    project.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder, why = choose_data_folder(project / ".govid", None)
    assert folder.parent.parent == tmp_path
    assert folder.parent.stat().st_mode & 0o777 == 0o711
    assert why is not None
    assert "closed to other users" in why
    assert project.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_is_always_allowed(host: str) -> None:
    refuse_exposure(host, expose=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "govid.example.com"])  # noqa: S104
def test_every_other_address_needs_to_be_meant(host: str) -> None:
    with pytest.raises(CommandRefused):
        refuse_exposure(host, expose=False)
    refuse_exposure(host, expose=True)


def test_a_busy_port_is_named_with_a_remedy() -> None:
    with open_listener("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port} of 127.0.0.1") as caught:
            open_listener("127.0.0.1", port)
    assert caught.value.remedy.endswith(f"GOVID_PORT={port + 1}.")


def test_a_free_port_is_reported() -> None:
    with open_listener("127.0.0.1", 0) as listener:
        assert format_listener_url(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
