"""Debian's nginx with `deploy/nginx.conf` before `govid serve`: the sentences of its document."""

import asyncio
import json
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends.govid import FLOOR_OF_HASHES, Govid
from tests.backends.nginx import HOST, NginxProxy
from tests.backends.ports import free_port
from tests.faults.registrants import build_applicants, sign_in
from tests.servers.signals import StartServer, fetch, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TOKEN = "a token for scrapers, 32 bytes or more"
SETTINGS = {
    **FLOOR_OF_HASHES,
    "GOVID_PUBLIC_URL": f"https://{HOST}",
    "GOVID_ALLOWED_HOSTS": HOST,
    "GOVID_TRUSTED_PROXIES": "127.0.0.1/32",
}
POLICY = "/api/auth/password-policy"
HSTS = ["max-age=31536000; includeSubDomains"]
UNKNOWN = {"email": "unknown@example.com", "password": "words that no one guesses"}
CLIENTS = 6
PAUSE_SECONDS = 0.05
FORGED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Real-IP": "203.0.113.7",
    "Forwarded": "for=203.0.113.7;proto=https",
}


@pytest.fixture(scope="module")
def server(production_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Govid]:
    """Return a server that locks an address after one failure, and serves metrics for a token."""
    server = Govid(
        tmp_path_factory.mktemp("govid"),
        database_url=production_url,
        kafka="127.0.0.1:1",
        extra={**SETTINGS, "GOVID_ADDRESS_FAILURES": "1", "GOVID_METRICS_TOKEN": TOKEN},
    )
    with server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: Govid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxProxy]:
    """Return nginx before `server`, and before a port at which nothing listens."""
    folder = tmp_path_factory.mktemp("nginx") / "site"
    with NginxProxy(folder, [server.url, f"http://127.0.0.1:{free_port()}"]) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: NginxProxy) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of `proxy`."""
    async with proxy.connect() as client:
        yield client


async def test_tls_ends_at_nginx_and_each_answer_demands_it(client: httpx.AsyncClient) -> None:
    answers = [await client.get(POLICY) for _ in range(6)]
    assert {one.status_code for one in answers} == {200}
    assert [one.headers.get_list("strict-transport-security") for one in answers] == [HSTS] * 6
    assert "content-encoding" not in answers[0].headers
    assert "set-cookie" not in answers[0].headers


async def test_a_request_without_tls_is_sent_to_the_service_by_tls(proxy: NginxProxy) -> None:
    async with httpx.AsyncClient() as plain:
        answer = await plain.post(
            f"http://127.0.0.1:{proxy.plain_port}{POLICY}?a=1", headers={"Host": "evil.example"}
        )
    assert (answer.status_code, answer.headers["location"]) == (308, f"https://{HOST}{POLICY}?a=1")


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")]
)
async def test_both_versions_of_http_are_offered(
    proxy: NginxProxy, offered: list[str], chosen: str
) -> None:
    assert await negotiate(proxy, HOST, offered) == chosen


async def test_a_handshake_for_another_name_shows_no_certificate(proxy: NginxProxy) -> None:
    with pytest.raises(ssl.SSLError, match="unrecognized name"):
        await negotiate(proxy, "evil.example", ["http/1.1"])


async def test_a_request_for_another_name_reaches_no_process(proxy: NginxProxy) -> None:
    async with proxy.connect(host="evil.example") as client:
        answer = await client.get(POLICY)
    assert (answer.status_code, "x-correlation-id" in answer.headers) == (421, False)


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/%6detrics", "//metrics", "/x/../metrics", "/METRICS"]
)
async def test_metrics_are_not_reachable_even_with_their_token(
    server: Govid, proxy: NginxProxy, path: str
) -> None:
    authorization = f"Authorization: Bearer {TOKEN}\r\nConnection: close"
    reader, writer = await connect(proxy, HOST, ["http/1.1"])
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{authorization}\r\n\r\n".encode())
    answer = await reader.read()
    await disconnect(writer)
    scraped = await fetch(f"{server.url}/metrics", {"Authorization": f"Bearer {TOKEN}"})
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert scraped.status_code == httpx.codes.OK


async def test_the_token_of_a_link_is_in_no_log(
    client: httpx.AsyncClient, proxy: NginxProxy, server: Govid
) -> None:
    await client.get(f"/reset?token={TOKEN}", headers={"referer": f"https://{HOST}/?{TOKEN}"})

    async def is_logged() -> bool:
        return '"GET /reset" ' in (proxy.folder / "govid.log").read_text()

    await wait_until(is_logged)
    logs = [*proxy.folder.glob("*.log"), server.log]
    assert [one.name for one in logs if TOKEN in one.read_text()] == []


async def test_health_has_no_details_of_the_management_port(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/health")).json()
    assert {"version", "database", "bus"}.isdisjoint(answer)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_large_body_is_refused_by_nginx_in_the_form_of_govid(
    client: httpx.AsyncClient, is_chunked: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b"x" * 8192

    body = chunks() if is_chunked else b"x" * 65_537
    answer = await client.post("/api/auth/login", content=body)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (413, "urn:govid:problem:body-too-large")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get_list("strict-transport-security") == HSTS
    assert "x-correlation-id" not in answer.headers


async def test_the_largest_body_of_govid_reaches_govid(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post("/api/nhs/patients", content=b" " * 65_536, headers=headers)
    assert (answer.status_code, "x-correlation-id" in answer.headers) == (401, True)


async def test_a_client_has_its_own_address_and_cannot_choose_another(
    server: Govid, proxy: NginxProxy
) -> None:
    statuses = []
    async with proxy.connect("127.0.0.5") as client, proxy.connect("127.0.0.6") as other:
        for one, headers in ((client, {}), (client, FORGED), (other, FORGED), (other, {})):
            answer = await one.post("/api/auth/login", json=UNKNOWN, headers=headers)
            statuses.append(answer.status_code)
        answer = await other.get("/api/auth/sessions", headers=FORGED)
    correlation_id = answer.headers["x-correlation-id"]
    lines: list[dict[str, Any]] = []

    async def is_logged() -> bool:
        log = server.log.read_text().splitlines()
        lines[:] = [json.loads(line) for line in log if correlation_id in line]
        return bool(lines)

    await wait_until(is_logged)
    assert statuses == [401, 429, 401, 429]
    assert [one["client_ip"] for one in lines] == ["127.0.0.6"]


async def test_one_address_has_200_requests_under_way_and_others_are_served(
    proxy: NginxProxy, client: httpx.AsyncClient
) -> None:
    head = f"POST /api/auth/login HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\n"
    writers = []

    async def begin_request() -> None:
        _, writer = await connect(proxy, HOST, ["http/1.1"], source="127.0.0.7")
        writer.write(head.encode())
        writers.append(writer)

    async with proxy.connect("127.0.0.7") as same:
        await asyncio.gather(*(begin_request() for _ in range(200)))

        async def is_full() -> bool:
            # On a busy machine the first ones may have been given up already, after 10 s.
            await begin_request()
            answer = await same.get(POLICY)
            return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE

        await wait_until(is_full)
        refused, served = await same.get(POLICY), await client.get(POLICY)
    for writer in writers:
        await disconnect(writer)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["type"] == "urn:govid:problem:unavailable"
    assert served.status_code == httpx.codes.OK


async def test_a_replaced_certificate_is_shown_without_a_restart(proxy: NginxProxy) -> None:
    before = await fetch_certificate(proxy)
    proxy.replace_certificate()

    async def is_replaced() -> bool:
        return await fetch_certificate(proxy) != before

    await wait_until(is_replaced)


async def test_without_any_process_the_answer_says_when_to_come_back(tmp_path: Path) -> None:
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    with NginxProxy(tmp_path / "site", urls) as proxy:
        async with proxy.connect() as client:
            answers = [await client.get(POLICY), await client.post(POLICY)]
    assert [one.status_code for one in answers] == [503, 503]
    assert [one.headers["retry-after"] for one in answers] == ["5", "5"]
    assert answers[0].json()["type"] == "urn:govid:problem:unavailable"
    assert answers[0].headers.get_list("strict-transport-security") == HSTS


async def test_a_restart_of_one_process_after_the_other_fails_no_reading_request(
    start: StartServer, tmp_path: Path
) -> None:
    servers = [start(**{**SETTINGS, "GOVID_DRAIN_SECONDS": "5"}) for _ in range(2)]
    with NginxProxy(tmp_path / "site", [server.url for server in servers]) as proxy:
        async with proxy.connect() as client:
            (applicant,) = build_applicants(1, group="nginx")
            await client.post("/api/auth/register", json=applicant.body())
            headers = await sign_in(client, applicant.email)
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            loads = [
                group.create_task(request_steadily(proxy, headers, ended)) for _ in range(CLIENTS)
            ]
            codes = [await asyncio.to_thread(restart, server) for server in servers]
            ended.set()
    reads: Counter[str] = sum((load.result() for load in loads), Counter())
    assert codes == [0, 0]
    assert reads.keys() == {"200"}
    assert reads["200"] > 500


def restart(server: Govid) -> int:
    """Stop *server* as a service manager does, and start it again; return its exit code."""
    server.signal(signal.SIGTERM)
    code = server.wait_for_end(40)
    server.start()
    return code


async def request_steadily(
    proxy: NginxProxy, headers: dict[str, str], ended: asyncio.Event
) -> Counter[str]:
    """Read the profile until *ended*; return how often each status was the answer."""
    statuses: Counter[str] = Counter()
    async with proxy.connect() as client:
        while not ended.is_set():
            try:
                answer = await client.get("/api/auth/profile", headers=headers)
                statuses[str(answer.status_code)] += 1
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1
            await asyncio.sleep(PAUSE_SECONDS)
    return statuses


async def connect(
    proxy: NginxProxy, name: str, protocols: list[str], source: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection from *source* that offers *protocols* to the server called *name*."""
    context = ssl.create_default_context(cafile=proxy.authority)
    context.set_alpn_protocols(protocols)
    return await asyncio.open_connection(
        "127.0.0.1",
        proxy.port,
        ssl=context,
        server_hostname=name,
        local_addr=(source, 0),
    )


async def disconnect(writer: asyncio.StreamWriter) -> None:
    """Close a connection at once: a TLS connection that is closed in order waits for its peer."""
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def negotiate(proxy: NginxProxy, name: str, protocols: list[str]) -> str | None:
    """Return which of *protocols* nginx chooses for *name*."""
    _, writer = await connect(proxy, name, protocols)
    chosen: str | None = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    await disconnect(writer)
    return chosen


async def fetch_certificate(proxy: NginxProxy) -> bytes | None:
    """Return the certificate that nginx shows, in DER format."""
    _, writer = await connect(proxy, HOST, ["http/1.1"])
    shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    await disconnect(writer)
    return shown
