"""The names by which govid may be called."""

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.http.client import Client


@pytest.fixture
def overrides() -> dict[str, object]:
    return {"GOVID_ALLOWED_HOSTS": "id.example, [2001:db8::1], id.example.org:8443"}


@pytest.mark.parametrize(
    "host",
    [
        "id.example",
        "id.example:443",
        "ID.Example:8000",
        "[2001:db8::1]:8000",
        "id.example.org:8443",
    ],
)
async def test_a_name_on_the_list_is_answered(client: Client, host: str) -> None:
    assert (await client.http.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "idxexample",
        "id.example.evil",
        "evil-id.example",
        "www.id.example",
        "id.example.org",
        "id.example.org:443",
        "127.0.0.1",
    ],
)
async def test_another_name_is_a_421_that_does_not_repeat_it(client: Client, host: str) -> None:
    answer = await client.http.get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json() == {
        "type": "urn:govid:problem:misdirected-request",
        "title": "Misdirected Request",
        "status": 421,
        "detail": "This service is not reached by that name",
        "instance": "/",
    }


@pytest.mark.parametrize(
    "host",
    [
        "",
        "id.example.",
        "id.example:",
        "id.example:x",
        "a@id.example",
        "id.example/x",
        "id example",
        "ä",
    ],
)
async def test_what_is_no_name_is_a_400(client: Client, host: str) -> None:
    answer = await client.http.get("/", headers={b"Host": host.encode()})
    assert answer.status_code == 400


@pytest.mark.parametrize("hosts", [b"", b"Host: id.example\r\nHost: id.example\r\n"])
async def test_none_and_two_names_are_a_400(server: str, hosts: bytes) -> None:
    address = urlsplit(server)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET / HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 400 ")
    writer.close()


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded"])
async def test_no_other_header_names_the_host(client: Client, header: str) -> None:
    headers = {"Host": "evil.example", header: "id.example"}
    assert (await client.http.get("/", headers=headers)).status_code == 421


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/startup", "/health"])
async def test_probes_are_answered_under_any_name(client: Client, path: str) -> None:
    answer = await client.http.get(path, headers={"Host": "10.0.0.7:8000"})
    assert answer.status_code == 200


async def test_a_foreign_name_is_refused_before_a_token_is_looked_at(client: Client) -> None:
    answer = await client.http.get("/api/auth/profile", headers={"Host": "evil.example"})
    assert answer.status_code == 421
