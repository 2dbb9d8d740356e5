"""The database becomes unavailable under a running server."""

from tests.backends import postgres
from tests.http.client import NHS, Client


async def test_govid_reports_it_and_comes_back_with_nothing(
    client: Client, postgres_server: str, database_url: str
) -> None:
    token = await client.citizen()
    await postgres.drop(postgres_server, database_url)

    profile = await client.get("/api/auth/profile", token)
    assert profile.status_code == 503
    assert profile.headers["retry-after"] == "1"
    register = await client.register(NHS)
    assert register.status_code == 503
    assert register.json()["type"] == "urn:govid:problem:unavailable"
    assert register.headers["retry-after"] == "5"
    patients = await client.get("/api/nhs/patients", token)
    assert patients.status_code == 503
    health = await client.get("/health")
    assert health.status_code == 503
    assert health.json()["status"] == "degraded"
    assert health.json()["dependencies"]["database"] == "down"
    assert (await client.get("/health/ready")).status_code == 503
    assert (await client.get("/health/live")).status_code == 200
