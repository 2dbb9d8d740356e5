"""Log lines: one object each, nothing personal, nothing that forges, nothing that blocks."""

import ast
import errno
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock, call

import pytest

import govid
from govid.gateway.logging import (
    ALLOWED_MEMBERS,
    MAX_QUEUED_LINES,
    LogLineHandler,
    LogWriter,
    RequestLogWriter,
)
from tests.unit.gateway.http.edge_application import asked_for

CANARY = "canary-7f3a"
SOURCE = Path(govid.__file__).parent


@pytest.fixture
def stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def writer(stream: io.BytesIO) -> Iterator[LogWriter]:
    made = LogWriter(stream)
    yield made
    made.close()


@pytest.fixture
def logger(writer: LogWriter) -> logging.Logger:
    # The handlers of the root could not pass on what is no text.
    made = logging.Logger("govid.test.lines")  # noqa: LOG001 - no relative of the root
    made.addHandler(LogLineHandler(writer, console=False))
    return made


def lines(stream: io.BytesIO, writer: LogWriter) -> list[dict[str, object]]:
    writer.flush()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_an_object(logger: logging.Logger, stream: io.BytesIO, writer: LogWriter) -> None:
    logger.warning("kafka.down", extra={"topic": "a.b", "attempts": 3})
    line = lines(stream, writer)[0]
    assert sorted(line) == ["attempts", "level", "logger", "message", "time", "topic"]
    assert line["message"] == "kafka.down"
    assert line["attempts"] == 3


def test_what_is_not_on_the_list_is_left_out(
    logger: logging.Logger, stream: io.BytesIO, writer: LogWriter
) -> None:
    logger.warning("x", extra={"email": CANARY})
    assert "email" not in lines(stream, writer)[0]


def test_a_value_cannot_forge_a_line(
    logger: logging.Logger, stream: io.BytesIO, writer: LogWriter
) -> None:
    logger.warning("a\nb\u2028c\x1b[31m\u202e")
    assert lines(stream, writer)[0]["message"] == "a\\u000ab\\u2028c\\u001b[31m\\u202e"


def test_i9_of_what_others_say_the_first_line_is_kept(
    stream: io.BytesIO, writer: LogWriter
) -> None:
    other = logging.getLogger("asyncio.test")
    handler = LogLineHandler(writer, console=False)
    other.addHandler(handler)
    other.error(f"Task exception was never retrieved\nfuture: <Task exception=Error('{CANARY}')>")
    other.removeHandler(handler)
    line = lines(stream, writer)[0]
    assert line["message"] == "Task exception was never retrieved"


def test_i9_what_has_the_shape_of_an_identifier_is_hidden_in_messages_and_members(
    logger: logging.Logger, stream: io.BytesIO, writer: LogWriter
) -> None:
    logger.warning("of AB123456C", extra={"reason": "asked by test@example.com"})
    line = lines(stream, writer)[0]
    assert line["message"] == "of ***"
    assert line["reason"] == "asked by ***"


@pytest.mark.parametrize("character", ["\u061c", "\ud800", "\x85", "\u2069", "\x9b"])
def test_no_odd_character_reaches_a_terminal(
    logger: logging.Logger, stream: io.BytesIO, writer: LogWriter, character: str
) -> None:
    logger.warning("a%sb", character)
    assert lines(stream, writer)[0]["message"] == f"a\\u{ord(character):04x}b"


def test_an_exception_is_reported_without_its_message(
    logger: logging.Logger, stream: io.BytesIO, writer: LogWriter
) -> None:
    try:
        int(CANARY)
    except ValueError:
        logger.exception("it failed")
    line = lines(stream, writer)[0]
    assert line["exception"][0] == "ValueError"  # type: ignore[index]
    assert "test_logging.py" in line["exception"][1]  # type: ignore[index]
    assert CANARY not in json.dumps(line)


def test_of_a_group_the_first_is_reported(
    logger: logging.Logger, stream: io.BytesIO, writer: LogWriter
) -> None:
    group = ExceptionGroup(CANARY, [KeyError(CANARY), ValueError(CANARY)])
    logger.error("it failed", exc_info=group)
    assert lines(stream, writer)[0]["exception"] == ["ExceptionGroup", "KeyError"]


def test_every_member_that_is_logged_somewhere_is_on_the_list() -> None:
    used = {
        key.value
        for file in SOURCE.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("log.")
        for given in call.keywords
        if given.arg == "extra" and isinstance(given.value, ast.Dict)
        for key in given.value.keys
        if isinstance(key, ast.Constant)
    }
    assert used - ALLOWED_MEMBERS == set()


def test_what_overflows_is_counted(stream: io.BytesIO, writer: LogWriter) -> None:
    writer.stop()  # nothing is written meanwhile
    for _ in range(MAX_QUEUED_LINES + 3):
        writer.write(b"1")
    assert writer.dropped == 3
    writer.start()
    written = lines(stream, writer)
    assert len(written) == MAX_QUEUED_LINES + 1
    assert written[-1] == {"level": "WARNING", "message": "log.lines_dropped", "records": 3}


def test_lines_that_are_written_within_a_flush_interval_share_one_write() -> None:
    stream = Mock()
    writer = LogWriter(stream)
    writer.write(b"one")
    writer.write(b"two")
    writer.close()
    assert stream.write.call_args_list == [call(b"one\ntwo\n")]


def test_a_line_is_formatted_in_the_thread_that_logs_it(
    logger: logging.Logger, stream: io.BytesIO, writer: LogWriter
) -> None:
    formatted_in = []

    class Member:
        def __str__(self) -> str:
            formatted_in.append(threading.get_ident())
            return "a.b"

    logger.warning("kafka.down", extra={"topic": Member()})
    assert lines(stream, writer)[0]["topic"] == "a.b"
    assert formatted_in == [threading.get_ident()]


def test_a_full_disk_takes_nothing_down() -> None:
    stream = Mock(**{"write.side_effect": [OSError(errno.ENOSPC, "no space"), 4]})
    writer = LogWriter(stream)
    writer.write(b"one")
    writer.flush()
    writer.write(b"two")
    writer.close()
    assert stream.write.call_args_list == [call(b"one\n"), call(b"two\n")]


def test_a_closed_stream_takes_nothing_down(stream: io.BytesIO, writer: LogWriter) -> None:
    stream.close()
    writer.write(b"x")
    writer.flush()
    assert writer.dropped == 0


def test_the_rest_is_written_at_the_end(stream: io.BytesIO) -> None:
    writer = LogWriter(stream)
    writer.write(b"last words")
    writer.close()
    assert stream.getvalue() == b"last words\n"


def test_the_rest_is_written_when_the_process_ends() -> None:
    code = (
        "import logging; from govid.gateway.logging import configure_logging;"
        "_, requests = configure_logging('INFO', 'json'); logging.warning('last words')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(ended.stderr)["message"] == "last words"


@pytest.mark.parametrize(
    ("path", "level", "debug_level"),
    [
        ("/health", None, "DEBUG"),
        ("/health/live", None, "DEBUG"),
        ("/health/ready", None, "DEBUG"),
        ("/metrics", None, "DEBUG"),
        ("/healthy", "INFO", "INFO"),
        ("/api/auth/profile", "INFO", "INFO"),
    ],
)
def test_f18_probes_and_scrapes_are_logged_at_level_debug(
    stream: io.BytesIO, writer: LogWriter, path: str, level: str | None, debug_level: str
) -> None:
    exchange = asked_for(path)
    RequestLogWriter(writer, console=False).write_request(exchange, 1.0)
    at_info = [line["level"] for line in lines(stream, writer)]
    RequestLogWriter(writer, console=False, debug=True).write_request(exchange, 1.0)
    at_debug = [line["level"] for line in lines(stream, writer)][len(at_info) :]
    assert (at_info, at_debug) == ([level] if level else [], [debug_level])
