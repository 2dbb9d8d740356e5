"""Sessions over HTTP: begun, renewed, listed and revoked in every process at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from govid.gateway.settings import Settings
from tests.http.client import NHS, NIN, PASSWORD, Client
from tests.http.serving import serving

PROFILE = "/api/auth/profile"
SESSIONS = "/api/auth/sessions"
REFRESH = "/api/auth/refresh"


async def begun(client: Client, person: dict[str, str] = NIN) -> dict[str, Any]:
    """Register a person and return the tokens of their session."""
    await client.register(person)
    return await signed_in(client, person)


async def signed_in(client: Client, person: dict[str, str] = NIN) -> dict[str, Any]:
    """Return the tokens of a new session."""
    answer = await client.post(SESSIONS, {"email": person["email"], "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def refused(client: Client, token: str) -> None:
    """Make sure that *token* is refused everywhere."""
    answer = await client.get(PROFILE, token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.fixture
async def another(settings: Settings, server: str) -> AsyncIterator[Client]:
    """Return a client of a second server on the same database."""
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=10) as http:
            yield Client(http)


async def test_a_session_is_two_tokens_and_an_id(client: Client) -> None:
    grant = await begun(client)
    assert list(grant) == [
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "session_id",
    ]
    assert (grant["token_type"], grant["expires_in"]) == ("bearer", 300)
    assert (await client.get(PROFILE, grant["access_token"])).status_code == 200


async def test_a_session_is_renewed(client: Client) -> None:
    grant = await begun(client)
    answer = await client.post(REFRESH, {"refresh_token": grant["refresh_token"]})
    assert answer.status_code == 200
    assert answer.json()["session_id"] == grant["session_id"]
    assert answer.headers["cache-control"] == "no-store"
    assert (await client.get(PROFILE, answer.json()["access_token"])).status_code == 200


async def test_r11_twenty_parallel_renewals_are_one_success_and_the_end(client: Client) -> None:
    grant = await begun(client)
    body = {"refresh_token": grant["refresh_token"]}
    answers = await asyncio.gather(*(client.post(REFRESH, body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
    (winner,) = (answer for answer in answers if answer.status_code == 200)
    await refused(client, winner.json()["access_token"])
    last = await client.post(REFRESH, {"refresh_token": winner.json()["refresh_token"]})
    assert last.status_code == 401


@pytest.mark.parametrize(
    ("token", "status"),
    [("", 401), ("x", 401), ("a" * 43, 401), ("🔑" * 10, 401), ("\x00", 422), ("a" * 1025, 422)],
    ids=["none", "short", "unknown", "emoji", "nul", "long"],
)
async def test_a_refresh_token_of_no_account_is_refused(
    visitor: Client, token: str, status: int
) -> None:
    answer = await visitor.post(REFRESH, {"refresh_token": token})
    assert answer.status_code == status


async def test_an_access_token_renews_nothing_and_a_refresh_token_reads_nothing(
    client: Client,
) -> None:
    grant = await begun(client)
    answer = await client.post(REFRESH, {"refresh_token": grant["access_token"]})
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:govid:problem:invalid-refresh-token"
    await refused(client, grant["refresh_token"])


async def test_a_person_sees_their_own_sessions_only(client: Client) -> None:
    mine, theirs = await begun(client), await begun(client, NHS)
    more = await signed_in(client)
    answer = await client.get(SESSIONS, mine["access_token"])
    assert [one["id"] for one in answer.json()] == [mine["session_id"], more["session_id"]]
    assert [one["current"] for one in answer.json()] == [True, False]
    assert list(answer.json()[0]) == [
        "id",
        "client_id",
        "created_at",
        "last_seen_at",
        "expires_at",
        "current",
    ]
    assert theirs["session_id"] not in answer.text


async def test_the_list_goes_on_where_its_page_ends(client: Client) -> None:
    mine = await begun(client)
    more = await signed_in(client)
    page = await client.get(f"{SESSIONS}?limit=1", mine["access_token"])
    rest = await client.get(page.links["next"]["url"], mine["access_token"])
    assert [one["id"] for one in (*page.json(), *rest.json())] == [
        mine["session_id"],
        more["session_id"],
    ]


async def test_a_session_of_ones_own_can_be_ended(client: Client) -> None:
    mine = await begun(client)
    more = await signed_in(client)
    answer = await client.http.delete(
        f"{SESSIONS}/{more['session_id']}",
        headers={"Authorization": f"Bearer {mine['access_token']}"},
    )
    assert (answer.status_code, answer.content) == (204, b"")
    await refused(client, more["access_token"])


async def test_a_session_of_another_person_does_not_exist(client: Client) -> None:
    mine, theirs = await begun(client), await begun(client, NHS)
    headers = {"Authorization": f"Bearer {mine['access_token']}", "X-Correlation-ID": "c-1"}
    paths = [f"{SESSIONS}/{theirs['session_id']}", f"{SESSIONS}/{uuid4()}"]
    answers = [await client.http.delete(path, headers=headers) for path in paths]
    bodies = [answer.text.replace(str(answer.url.path), "") for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert bodies[0] == bodies[1]
    assert (await client.get(PROFILE, theirs["access_token"])).status_code == 200


class TestRevocation:
    """Two processes, one database."""

    @pytest.mark.parametrize("way", ["logout", "logout-all"])
    async def test_r12_signing_out_is_believed_at_once_where_it_happened(
        self, client: Client, way: str
    ) -> None:
        grant = await begun(client)
        assert (await client.get(PROFILE, grant["access_token"])).status_code == 200
        answer = await client.http.post(
            f"/api/auth/{way}", headers={"Authorization": f"Bearer {grant['access_token']}"}
        )
        assert (answer.status_code, answer.content) == (204, b"")
        await refused(client, grant["access_token"])

    async def test_r12_it_is_believed_by_a_process_started_afterwards(
        self, client: Client, settings: Settings
    ) -> None:
        grant = await begun(client)
        await client.http.post(
            "/api/auth/logout", headers={"Authorization": f"Bearer {grant['access_token']}"}
        )
        with serving(settings) as url:
            async with httpx.AsyncClient(base_url=url, timeout=10) as http:
                await refused(Client(http), grant["access_token"])


@pytest.mark.parametrize("way", ["logout", "logout-all"])
async def test_r12_signing_out_is_believed_at_once_by_the_other_process(
    client: Client, another: Client, way: str
) -> None:
    grant = await begun(client)
    assert (await another.get(PROFILE, grant["access_token"])).status_code == 200
    await client.http.post(
        f"/api/auth/{way}", headers={"Authorization": f"Bearer {grant['access_token']}"}
    )
    await refused(another, grant["access_token"])
