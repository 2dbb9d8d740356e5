"""SIGHUP ends `govid dev` as SIGTERM does, and never ends `govid serve`."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, time
from govid.gateway.cli.serving.listening import stop_on_signals
{before}
stop_on_signals()
{after}
try:
    signal.raise_signal({sent})
except KeyboardInterrupt:
    print("interrupted")
else:
    print("went on")
"""
IGNORE = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
SERVES = "signal.signal(signal.SIGTERM, lambda *_: print('asked to stop'))"


@pytest.mark.parametrize(
    ("before", "after", "sent", "reported"),
    [
        ("", "", signal.SIGTERM, "interrupted"),
        ("", "", signal.SIGHUP, "interrupted"),
        (IGNORE, "", signal.SIGHUP, "went on"),
        (IGNORE, "", signal.SIGTERM, "interrupted"),
        ("", SERVES, signal.SIGHUP, "asked to stop went on"),
    ],
)
def test_f8_a_hangup_is_a_request_to_stop(
    before: str, after: str, sent: signal.Signals, reported: str
) -> None:
    program = PROGRAM.format(before=before, after=after, sent=int(sent))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
        timeout=60,
    )
    assert (done.stdout.split(), done.stderr, done.returncode) == (reported.split(), "", 0)


NOTES = """
import signal
from govid.gateway.cli.serving.listening import HangupSignal
{before}
hangups = HangupSignal()
print(hangups.consume())
signal.raise_signal(signal.SIGHUP)
signal.raise_signal(signal.SIGHUP)
print(hangups.consume(), hangups.consume())
"""
BLOCK = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP]); signal.raise_signal(1)"


@pytest.mark.parametrize(
    ("before", "reported"),
    [("", "False True False"), (IGNORE, "False True False"), (BLOCK, "True True False")],
)
def test_a_hangup_is_noted_by_a_server(before: str, reported: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOTES.format(before=before)],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
        timeout=60,
    )
    assert (done.stdout.split(), done.stderr, done.returncode) == (reported.split(), "", 0)
