"""A pipe gets columns, a script gets JSON, and progress never mixes with either."""

import errno
import io
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from govid.gateway.cli.errors import CommandError
from govid.gateway.cli.output import Output, ProgressDisplay, print_note
from govid.gateway.cli.serving.listening import open_listener


def test_a_pipe_gets_a_header_and_columns_separated_by_tabs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Output(as_json=False).print_table(("name", "age"), [("a", 1.25), ("b", None)])
    assert capsys.readouterr().out == "name\tage\na\t1.2\nb\t-\n"


def test_a_script_gets_an_array_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).print_table(("name", "age"), [("a", 1.25), ("b", None)])
    assert json.loads(capsys.readouterr().out) == [
        {"name": "a", "age": 1.25},
        {"name": "b", "age": None},
    ]


def test_a_stream_gives_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.print_item({"n": 1}, "first")
    output.print_item({"n": 2}, "second")
    assert capsys.readouterr().out == '{"n":1}\n{"n":2}\n'


def test_a_mapping_is_one_line_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).print_mapping({"head": "0004", "pending": []})
    assert capsys.readouterr().out == "head\t0004\npending\t[]\n"


SETTINGS = [
    ("GOVID_PUBLIC_URL", "https://id.example.org/a/path/that/goes/on", "environment"),
    ("GOVID_CORS_ORIGINS", ",".join(f"https://app{n}.example.org" for n in range(9)), ".env"),
    ("GOVID_A_LONG_NAME_OF_A_SETTING_THAT_FEW_PEOPLE_SET", "x" * 70, "secrets directory"),
]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what makes stdout a terminal of so many columns."""

    def columns(width: int) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr("govid.gateway.cli.output.terminal_width", lambda _: width)

    return columns


@pytest.mark.parametrize("width", [30, 60, 80, 100, 200])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting[0])
def test_f9_a_whole_table_loses_nothing(
    capsys: pytest.CaptureFixture[str], terminal: Any, width: int, setting: tuple[str, ...]
) -> None:
    terminal(width)
    Output(as_json=False).print_table(
        ("name", "value", "source"), [setting], folded_column="value", keep_all=True
    )
    shown = capsys.readouterr()
    assert shown.err == ""
    text = "".join(shown.out.split())
    pieces = [setting[0], setting[2].replace(" ", ""), setting[1][-8:], setting[1][:8]]
    assert [one for one in pieces if one not in text] == []
    assert sum(map(shown.out.count, set(setting[1]))) >= sum(map(setting[1].count, set(setting[1])))


DELIVERY = ("0" * 36, "identity.verification.requested", "k" * 50, "nhs.verification", "pending")


@pytest.mark.parametrize(
    ("width", "shown", "lines"),
    [(80, ("id", "type", "subscriber", "state"), 3), (100, ("id", "type", "subscriber"), 1)],
)
def test_f9_a_column_is_folded_before_it_is_left_out(
    capsys: pytest.CaptureFixture[str],
    terminal: Any,
    width: int,
    shown: tuple[str, ...],
    lines: int,
) -> None:
    terminal(width)
    columns = ("id", "type", "key", "subscriber", "state")
    Output(as_json=False).print_table(
        columns, [DELIVERY], optional_columns=("key",), folded_column="type"
    )
    captured = capsys.readouterr()
    head, *rows = captured.out.splitlines()
    assert [name for name in shown if name not in head.split()] == []
    assert (len(rows), max(map(len, rows)) <= width) == (lines, True)
    assert "too narrow for: key." in captured.err


def test_f9_the_first_column_can_be_the_least(
    capsys: pytest.CaptureFixture[str], terminal: Any
) -> None:
    terminal(20)
    Output(as_json=False).print_table(
        ("id", "kind"), [("0" * 36, "block")], optional_columns=("id",)
    )
    assert capsys.readouterr().out.split() == ["kind", "block"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [({}, "None.\n"), ({"empty_text": "No topic is known yet."}, "No topic is known yet.\n")],
)
def test_f9_a_table_without_rows_is_a_sentence_on_a_terminal(
    capsys: pytest.CaptureFixture[str], terminal: Any, given: dict[str, str], sentence: str
) -> None:
    terminal(80)
    Output(as_json=False).print_table(("name", "age"), [], **given)
    assert capsys.readouterr() == ("", sentence)


def test_f9_a_table_of_which_the_command_speaks_itself_is_silent(
    capsys: pytest.CaptureFixture[str], terminal: Any
) -> None:
    terminal(80)
    Output(as_json=False).print_table(("name", "age"), [], empty_text="")
    assert capsys.readouterr() == ("", "")


def test_f9_a_pipe_keeps_the_header_of_a_table_without_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Output(as_json=False).print_table(("name", "age"), [])
    assert capsys.readouterr() == ("name\tage\n", "")


@pytest.mark.parametrize(
    ("done", "reported"), [(20, "20 of 20"), (21, "21 of 21"), (23, "23 of 23")]
)
def test_f9_progress_never_goes_over_its_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, done: int, reported: str
) -> None:
    monkeypatch.setattr("govid.gateway.cli.output.LINE_SECONDS", 0.0)
    with ProgressDisplay("Reading partitions", 20) as progress:
        progress.update(done)
    assert reported in capsys.readouterr().err


def test_progress_stays_off_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.gateway.cli.output.LINE_SECONDS", 0.0)
    with ProgressDisplay("Replaying", 10) as progress:
        progress.update(4)
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
    output.print_table(("name",), [(text,)])
    output.print_mapping({"name": text})
    output.print_item({"name": text}, f"one {text}")
    output.print_text(f"prose {text}")
    print_note(f"said {text}")
    captured = capsys.readouterr()
    said = (captured.out + captured.err).replace("\n", "").replace("\t", "")
    assert said.isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_e11_a_script_reads_what_was_there(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).print_document({"name": text})
    assert json.loads(capsys.readouterr().out) == {"name": text}


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "a\r\nb"])
def test_e11_a_value_stays_in_its_line_and_column(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Output(as_json=False).print_table(("name", "age"), [(text, 1)])
    _, row, end = capsys.readouterr().out.split("\n")
    assert (len(row.split("\t")), end) == (2, "")


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EPIPE, errno.EIO])
def test_f5_what_cannot_be_said_ends_nothing(error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr("sys.stderr", Full())
    print_note("warning: access tokens live longer than 15 minutes")


@pytest.mark.parametrize("setting", ["GOVID_PORT", "GOVID_MANAGEMENT_PORT"])
def test_f10_a_taken_port_names_the_setting_that_chose_it(setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError) as caught:
            open_listener("127.0.0.1", port, setting=setting)
    assert f"choose another: {setting}={port + 1}." in caught.value.remedy
