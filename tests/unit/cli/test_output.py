"""A pipe gets columns, a script gets JSON, and progress never mixes with either."""

import json

import pytest

from govid.gateway.cli.output import Output
from govid.gateway.cli.progress import Progress


def test_a_pipe_gets_a_header_and_columns_separated_by_tabs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Output(as_json=False).table(("name", "age"), [("a", 1.25), ("b", None)])
    assert capsys.readouterr().out == "name\tage\na\t1.2\nb\t-\n"


def test_a_script_gets_an_array_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).table(("name", "age"), [("a", 1.25), ("b", None)])
    assert json.loads(capsys.readouterr().out) == [
        {"name": "a", "age": 1.25},
        {"name": "b", "age": None},
    ]


def test_a_stream_gives_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.line({"n": 1}, "first")
    output.line({"n": 2}, "second")
    assert capsys.readouterr().out == '{"n":1}\n{"n":2}\n'


def test_a_mapping_is_one_line_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).mapping({"head": "0004", "pending": []})
    assert capsys.readouterr().out == "head\t0004\npending\t[]\n"


def test_progress_stays_off_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.gateway.cli.progress.LINE_SECONDS", 0.0)
    with Progress("Replaying", 10) as progress:
        progress.at(4)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Replaying: 4 of 10, ")
