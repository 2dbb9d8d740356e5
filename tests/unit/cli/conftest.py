"""Commands run in this process, without settings of the environment."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.cli.golden import PLAIN


@pytest.fixture
def runner() -> CliRunner:
    """Return a runner whose output looks the same on every machine."""
    return CliRunner(env=PLAIN)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Read no `.env`, and find no `govid dev`."""
    monkeypatch.chdir(tmp_path)
