"""A password file is read as libpq reads it."""

import os
from pathlib import Path

import pytest

from govid.bus.storage.connection_url import parse_url
from govid.bus.storage.password_file import PasswordFile


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PGPASSFILE", "PGPASSWORD", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "pass"
    found.touch(0o600)
    return found


@pytest.mark.parametrize(
    ("lines", "password"),
    [
        ("db:5432:x:a:s", "s"),
        ("*:*:*:*:s", "s"),
        ("other:*:*:*:t\n*:*:*:a:s\n*:*:*:a:later", "s"),
        ("*:5433:*:*:t", None),
        ("*:*:y:*:t", None),
        ("*:*:*:b:t", None),
        ("#*:*:*:*:t", None),
        ("\n*:*:*:*:s\r\n", "s"),
        (r"*:*:*:*:a\:b", "a:b"),
        (r"*:*:*:*:a\\b", "a\\b"),
        (r"*:*:*:*:a\\\:b", "a\\:b"),
        (r"*:*:*:*:a\b", "ab"),
        ("*:*:*:*:a\\", "a\\"),
        ("*:*:*:*:a:b", "a"),
        ("*:*:*:*: s ", " s "),
        (r"\*:*:*:*:t", None),
        ("*:*:*:a", None),
        ("*:*:*:*:", ""),
    ],
)
def test_lines_are_matched_and_unescaped(file: Path, lines: str, password: str | None) -> None:
    file.write_text(lines)
    url = parse_url(f"postgresql://a@db/x?passfile={file}")
    assert PasswordFile(url).find_password("db", None) == password


@pytest.mark.parametrize(
    ("place", "host", "line", "password"),
    [
        ("/x?host=/run/postgresql&", "/run/postgresql", "localhost:*:*:*:s", "s"),
        ("/x?host=/run/postgresql&", "/run/postgresql", "/run/postgresql:*:*:*:s", "s"),
        ("/x?", None, "localhost:5432:x:a:s", "s"),
        ("db:7/a%3Ab?", "db", r"db:7:a\:b:a:s", "s"),
    ],
)
def test_sockets_and_defaults_are_matched(
    file: Path, place: str, host: str | None, line: str, password: str
) -> None:
    file.write_text(line)
    url = parse_url(f"postgresql://a@{place}passfile={file}")
    port = url.hosts[0][1] if url.hosts else None
    assert PasswordFile(url).find_password(host, port) == password


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o610])
def test_a_file_that_others_can_access_is_ignored(file: Path, mode: int) -> None:
    file.write_text("*:*:*:*:s")
    file.chmod(mode)
    found = PasswordFile(parse_url(f"postgresql://a@db/x?passfile={file}"))
    assert found.find_password("db", None) is None
    assert found.find_fault() == (
        "the password file of passfile is ignored, as libpq does, because other users can access "
        "it: chmod 600"
    )


def test_a_password_in_the_url_needs_no_file(file: Path) -> None:
    file.chmod(0o644)
    found = PasswordFile(parse_url(f"postgresql://a:b@db/x?passfile={file}"))
    assert (found.is_used, found.find_fault()) == (False, None)


def test_libpq_s_variable_and_default_are_used(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = parse_url("postgresql://a@db/x")
    assert PasswordFile(url).explain_refusal("db", None) is None
    default = tmp_path / ".pgpass"
    default.write_text("*:*:*:*:default")
    default.chmod(0o600)
    assert PasswordFile(url).find_password("db", None) == "default"
    file.write_text("*:*:*:*:variable")
    monkeypatch.setenv("PGPASSFILE", str(file))
    assert PasswordFile(url).find_password("db", None) == "variable"


def test_a_folder_is_no_password_file(tmp_path: Path) -> None:
    found = PasswordFile(parse_url(f"postgresql://a@db/x?passfile={tmp_path}"))
    assert found.find_password("db", None) is None
    assert found.find_fault() == ("the password file of passfile is ignored: it is no regular file")


def test_a_user_without_a_home_has_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/dev/null/nowhere")
    found = PasswordFile(parse_url("postgresql://a@db/x"))
    assert (found.find_password("db", None), found.explain_refusal("db", None)) == (None, None)


def test_a_file_that_govid_may_not_read_is_the_reason(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = PasswordFile(parse_url(f"postgresql://a@db/x?passfile={file}"))
    file.write_text("*:*:*:*:secret")
    assert found.explain_refusal("db", None) is None
    # The superuser, who may run the tests, can read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert found.explain_refusal("db", None) == "the password file of passfile cannot be read"
