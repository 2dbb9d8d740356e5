"""A process that is about to stop ends its connections with their next answers."""

import pytest

from govid.gateway.http.draining import ConnectionDrain
from tests.unit.gateway.http.edge_application import EdgeRecorder, build_edge, client


@pytest.mark.parametrize("path", ["/fine", "/broken", "/nothing"])
async def test_answers_end_their_connection_during_the_drain(path: str) -> None:
    edge = build_edge(EdgeRecorder())

    async def interrupt(_: float) -> bool:
        return False

    async with client(edge) as caller:
        before = await caller.get(path)
        edge.drain.seconds = 60
        await edge.drain.run(interrupt)
        during = await caller.get(path)
    assert "connection" not in before.headers
    assert during.headers.get_list("connection") == ["close"]
    assert during.status_code == before.status_code


async def test_the_drain_lasts_as_long_as_it_is_set() -> None:
    drain = ConnectionDrain(0.001)
    remaining: list[float] = []

    async def tick(seconds: float) -> bool:
        remaining.append(seconds)
        return True

    await drain.run(tick)
    assert drain.is_draining
    assert 0 < remaining[-1] <= remaining[0] <= 0.001


async def test_without_seconds_the_drain_is_over_at_once() -> None:
    drain = ConnectionDrain()

    async def tick(_: float) -> bool:
        raise AssertionError("nothing to wait for")

    await drain.run(tick)
    assert drain.is_draining
