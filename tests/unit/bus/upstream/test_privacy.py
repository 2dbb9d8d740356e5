"""No log line, metric or error contains personal data (I9)."""

import logging
import traceback

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from govid.bus.upstream import UpstreamRequest, UpstreamResponse, UpstreamUnavailable

from .conftest import Opened
from .loopback import Loopback, Reply, half, reply

CANARY = b'{"nhs":"9434765919","name":"Canary"}'


@pytest.mark.parametrize(
    "sent", [reply(500, CANARY), reply(503, CANARY), half(CANARY)], ids=["500", "503", "half"]
)
async def test_i9_what_a_failing_department_sends_is_shown_nowhere(
    opened: Opened,
    call: UpstreamRequest,
    registry: CollectorRegistry,
    caplog: pytest.LogCaptureFixture,
    sent: Reply,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Loopback(sent) as server:
        with pytest.raises(UpstreamUnavailable) as failure:
            await opened(server.url).request(call)
    everything = "\n".join(
        [
            *(str(record.__dict__) for record in caplog.records),
            *traceback.format_exception(failure.value),
            generate_latest(registry).decode(),
            repr(call),
        ]
    )
    assert "9434765919" not in everything
    assert "Canary" not in everything


async def test_i9_a_log_line_names_the_route_by_its_template(
    opened: Opened, call: UpstreamRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Loopback(reply(200, CANARY, x_amz_cf_id="abc")) as server:
        await opened(server.url).request(call)
    (line,) = [record.__dict__ for record in caplog.records if record.name.startswith("govid")]
    notifications = (
        "department",
        "operation",
        "method",
        "route",
        "outcome",
        "attempt",
        "upstream_id",
    )
    assert [line[name] for name in notifications] == [
        *("nhs", "patient.read", "GET", "/Patient/{nhsNumber}", "200", 1, "abc"),
    ]


def test_i9_an_answer_shows_its_status_only() -> None:
    answer = UpstreamResponse(
        department="pds", status=200, headers={"x": "9434765919"}, body=CANARY
    )
    assert repr(answer) == f"<{type(answer).__name__} 200>"
