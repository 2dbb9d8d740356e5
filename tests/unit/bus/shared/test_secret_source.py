"""Secrets in files: read again, and never taken from a file that is being written."""

import os
import threading
from pathlib import Path

import pytest

from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.settings import KafkaSecurity
from govid.bus.shared.secret_source import SecretSource, WatchedSecret


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("first\n")
    return file


def test_a_new_value_counts_once_it_was_found_twice(file: Path) -> None:
    secret = WatchedSecret(SecretSource(file=file))
    assert secret.read() == "first"
    for content, expected in (
        ("", "first"),
        ("seco", "first"),
        ("second", "first"),
        ("second", "second"),
    ):
        file.write_text(content)
        secret.refresh()
        assert secret.read() == expected


def test_a_file_that_is_gone_or_no_text_changes_nothing(file: Path) -> None:
    secret = WatchedSecret(SecretSource(file=file))
    assert secret.read() == "first"
    file.write_bytes(b"\xff\xfe")
    secret.refresh()
    file.unlink()
    secret.refresh()
    assert secret.read() == "first"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="no such file"):
        SecretSource(file=pipe).read()


def test_a_value_never_changes() -> None:
    secret = WatchedSecret(SecretSource(value="fixed"))
    secret.refresh()
    assert secret.read() == "fixed"


def test_the_thread_that_watches_files_ends(file: Path) -> None:
    clients = KafkaClientFactory(
        "127.0.0.1:1",
        KafkaSecurity(
            protocol="SASL_SSL", sasl_username="govid", sasl_password=SecretSource(file=file)
        ),
    )
    clients.start_watching()
    (thread,) = [one for one in threading.enumerate() if one.name == "kafka files"]
    clients.stop_watching()
    thread.join(timeout=10)
    assert not thread.is_alive()
