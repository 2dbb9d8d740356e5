"""The five examples that users try first, in their order, against a fresh start."""

from tests.http.client import NHS, NIN, Client


async def test_the_five_examples(client: Client) -> None:
    first = await client.post("/api/auth/register", NIN)
    assert first.status_code == 201
    second = await client.post("/api/auth/register", NHS)
    assert second.status_code == 201
    third = await client.post(
        "/api/auth/login", {"email": NIN["email"], "password": NIN["password"]}
    )
    assert third.status_code == 200
    assert sorted(third.json()) == ["access_token", "token_type"]
    assert third.json()["token_type"] == "bearer"
    token = third.json()["access_token"]
    fourth = await client.get("/api/auth/profile", token)
    assert fourth.status_code == 200
    assert fourth.json()["id"] == first.json()["id"]
    fifth = await client.get("/api/nhs/patients", token)
    assert fifth.status_code == 200
    assert fifth.json() == []


async def test_both_become_verified_within_a_moment(client: Client) -> None:
    nin, nhs = await client.citizen(NIN), await client.citizen(NHS)
    await client.until_status(nin, "verified")
    await client.until_status(nhs, "verified")
