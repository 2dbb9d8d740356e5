"""Sessions: revoked tokens, and tokens of another purpose, are refused."""

import asyncio
from typing import Any

import pytest

from tests.http.client import NIN, PASSWORD, Client

PROFILE = "/api/auth/profile"
REFRESH = "/api/auth/refresh"


async def opened(client: Client) -> dict[str, Any]:
    """Register a person, and return their renewable session."""
    assert (await client.register()).status_code == 201
    body = {"email": NIN["email"], "password": PASSWORD}
    answer = await client.post("/api/auth/sessions", body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_r11_a_replayed_token_kills_the_family(client: Client) -> None:
    session = await opened(client)
    first = await client.post(REFRESH, {"refresh_token": session["refresh_token"]})
    assert first.status_code == 200
    again = await client.post(REFRESH, {"refresh_token": session["refresh_token"]})
    assert again.status_code == 401
    thief = await client.post(REFRESH, {"refresh_token": first.json()["refresh_token"]})
    assert thief.status_code == 401
    assert (await client.get(PROFILE, first.json()["access_token"])).status_code == 401


async def test_r11_of_parallel_uses_one_succeeds_and_all_is_dead(client: Client) -> None:
    session = await opened(client)
    body = {"refresh_token": session["refresh_token"]}
    answers = await asyncio.gather(*(client.post(REFRESH, body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
    assert (await client.get(PROFILE, session["access_token"])).status_code == 401


async def test_r11_another_client_gets_nothing_and_harms_no_one(client: Client) -> None:
    session = await opened(client)
    body = {"refresh_token": session["refresh_token"], "client_id": "evil"}
    assert (await client.post(REFRESH, body)).status_code == 401
    own = await client.post(REFRESH, {"refresh_token": session["refresh_token"]})
    assert own.status_code == 200


async def test_r12_nothing_works_after_a_logout(client: Client) -> None:
    session = await opened(client)
    assert (await client.post("/api/auth/logout", None, session["access_token"])).status_code == 204
    assert (await client.get(PROFILE, session["access_token"])).status_code == 401
    renewed = await client.post(REFRESH, {"refresh_token": session["refresh_token"]})
    assert renewed.status_code == 401


@pytest.mark.parametrize("name", ["refresh_token", "session_id"])
async def test_r9_what_is_no_access_token_opens_nothing(client: Client, name: str) -> None:
    session = await opened(client)
    assert (await client.get(PROFILE, session[name])).status_code == 401


async def test_r9_an_access_token_renews_nothing(client: Client) -> None:
    session = await opened(client)
    answer = await client.post(REFRESH, {"refresh_token": session["access_token"]})
    assert answer.status_code == 401


async def test_no_one_chooses_the_id_of_a_session(client: Client) -> None:
    await client.register()
    body = {"email": NIN["email"], "password": PASSWORD, "session_id": "0" * 32, "sid": "x"}
    assert (await client.post("/api/auth/sessions", body)).status_code == 422
    one = await client.post("/api/auth/sessions", {"email": NIN["email"], "password": PASSWORD})
    two = await client.post("/api/auth/sessions", {"email": NIN["email"], "password": PASSWORD})
    assert one.json()["session_id"] != two.json()["session_id"]


@pytest.mark.parametrize(
    "sid", ["0190a5a0-0000-7000-8000-000000000001", "1 OR 1=1", "..%2f..", "%00"]
)
async def test_r20_a_session_of_no_one_and_of_another_are_the_same_404(
    client: Client, sid: str
) -> None:
    session = await opened(client)
    other = await client.citizen(NIN, email="o@example.com", identifierValue="AB123457D")
    headers = {"Authorization": f"Bearer {other}"}
    foreign = await client.http.delete(
        f"/api/auth/sessions/{session['session_id']}", headers=headers
    )
    missing = await client.http.delete(f"/api/auth/sessions/{sid}", headers=headers)
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json()["title"] == missing.json()["title"] == "Not Found"
    assert (await client.get(PROFILE, session["access_token"])).status_code == 200


class TestDeath:
    """The notice of death that the simulator sends."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_SIMULATE_DEATH_EVENT": True, "GOVID_SIMULATE_DEATH_DELAY_SECONDS": 4}

    async def test_r13_after_it_no_grant_opens_anything(self, client: Client) -> None:
        session = await opened(client)
        async with asyncio.timeout(20):
            while (await client.get(PROFILE, session["access_token"])).status_code == 200:
                await asyncio.sleep(0.05)
        renewed = await client.post(REFRESH, {"refresh_token": session["refresh_token"]})
        assert renewed.status_code == 401
        body = {"email": NIN["email"], "password": PASSWORD}
        assert (await client.post("/api/auth/sessions", body)).status_code == 403
        assert (await client.post("/api/auth/login", body)).status_code == 403
