"""What the edge reads from a request first."""

import pytest

from tests.unit.gateway.http.edge_application import EdgeRecorder, build_edge, client


@pytest.mark.parametrize("length", ["9" * 5_000, "0" * 5_000 + "1", "-1", "1e3", "\u0661", ""])
async def test_a_length_that_is_no_number_is_answered_like_everything_else(length: str) -> None:
    recorder = EdgeRecorder()
    async with client(build_edge(recorder)) as http:
        answer = await http.get("/", headers={"Content-Length": length.encode()})
    assert answer.status_code == 200
    assert answer.headers["X-Correlation-ID"] == recorder.activities[0].correlation_id
