"""A pipe gets columns, a script gets JSON, and progress never mixes with either."""

import errno
import io
import json
import os
import socket

import pytest

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.listening import listen
from govid.gateway.cli.output import Output, note
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


HOSTILE = ["\x1b]0;owned\x07", "\x9b2J", "a\u202eb", "\x00", "\x7f", "\U000e0041", "a\rb"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("as_json", [True, False])
def test_e11_nothing_that_is_printed_moves_a_terminal(
    text: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(as_json=as_json)
    output.table(("name",), [(text,)])
    output.mapping({"name": text})
    output.line({"name": text}, f"one {text}")
    output.text(f"prose {text}")
    note(f"said {text}")
    captured = capsys.readouterr()
    said = (captured.out + captured.err).replace("\n", "").replace("\t", "")
    assert said.isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_e11_a_script_reads_what_was_there(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).document({"name": text})
    assert json.loads(capsys.readouterr().out) == {"name": text}


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "a\r\nb"])
def test_e11_a_value_stays_in_its_line_and_column(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Output(as_json=False).table(("name", "age"), [(text, 1)])
    _, row, end = capsys.readouterr().out.split("\n")
    assert (len(row.split("\t")), end) == (2, "")


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EPIPE, errno.EIO])
def test_f5_what_cannot_be_said_ends_nothing(error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr("sys.stderr", Full())
    note("warning: access tokens live longer than 15 minutes")


@pytest.mark.parametrize("setting", ["GOVID_PORT", "GOVID_MANAGEMENT_PORT"])
def test_f10_a_taken_port_names_the_setting_that_chose_it(setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError) as caught:
            listen("127.0.0.1", port, setting=setting)
    assert f"choose another: {setting}={port + 1}." in caught.value.remedy
