"""A command whose standard streams are closed ends as it would with open ones."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("command", ["config show --all", "config example"])
def test_f5_closed_streams_are_no_failure(tmp_path: Path, command: str, redirection: str) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m govid {command} {redirection}', sys.executable],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
