"""A database error is classified by its SQLSTATE: a full disk is no outage and no lock."""

from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from govid.gateway.http.problems import problem_for_error


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (asyncpg.DiskFullError("AB123456C"), "53100"),
        (asyncpg.LockNotAvailableError("AB123456C"), "55P03"),
        (asyncpg.TooManyConnectionsError("AB123456C"), "53300"),
        (ConnectionRefusedError("AB123456C"), None),
    ],
)
def test_c4_the_log_tells_why_the_database_was_unavailable(
    error: Exception, state: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    exchange: Any = SimpleNamespace(correlation_id="c-1")
    assert problem_for_error(error, exchange).status == 503
    (line,) = caplog.records
    assert line.message == "database unavailable"
    assert getattr(line, "sqlstate", None) == state
    assert type(error).__name__ in line.error_class  # type: ignore[attr-defined]
    assert "AB123456C" not in str(vars(line))
