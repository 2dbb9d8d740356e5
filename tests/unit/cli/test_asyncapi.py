"""`govid asyncapi` prints, writes and checks one and the same text."""

from pathlib import Path

from click.testing import CliRunner

from govid.bus.asyncapi import render_document
from govid.gateway.cli.commands import commands


def test_it_prints_the_description() -> None:
    result = CliRunner().invoke(commands, ["asyncapi"])
    assert (result.exit_code, result.stdout_bytes) == (0, render_document())


def test_it_writes_the_description(tmp_path: Path) -> None:
    file = tmp_path / "asyncapi.json"
    result = CliRunner().invoke(commands, ["asyncapi", "--out", str(file)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert file.read_bytes() == render_document()


def test_a_fresh_file_is_up_to_date_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "asyncapi.json"
    file.write_bytes(render_document())
    result = CliRunner().invoke(commands, ["asyncapi", "--out", str(file), "--check"])
    assert (result.exit_code, result.stderr) == (0, f"{file} is up to date.\n")


def test_a_stale_file_is_found_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "asyncapi.json"
    file.write_text("{}")
    result = CliRunner().invoke(commands, ["asyncapi", "--out", str(file), "--check"])
    assert result.exit_code == 5
    assert file.read_text() == "{}"


def test_a_file_that_is_missing_is_stale(tmp_path: Path) -> None:
    result = CliRunner().invoke(commands, ["asyncapi", "--out", str(tmp_path / "no"), "--check"])
    assert result.exit_code == 5


def test_there_has_to_be_a_file_to_check() -> None:
    assert CliRunner().invoke(commands, ["asyncapi", "--check"]).exit_code == 2
