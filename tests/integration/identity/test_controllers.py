"""The routes, in a bare application: what the gateway adds is the gateway's to test."""

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.connection import Request
from litestar.di import Provide

from govid import identity
from govid.bus import Cause, Database, Principal, SystemClock
from tests.integration.identity.conftest import CAUSE, SETTINGS, a_uow

EXAMPLE = {
    "email": "test.nin@example.com",
    "password": "password123",
    "identifierType": "NIN",
    "identifierValue": "AB123456C",
    "phoneNumber": "+447123456789",
}
CREDENTIALS = {"email": "test.nin@example.com", "password": "password123"}


@pytest.fixture
async def built(database: Database) -> identity.Identity:
    """Return identity as the gateway gets it, started."""
    built = identity.build(SETTINGS, database, a_uow(database), SystemClock())
    (start,) = built.module.starts
    await start()
    return built


@pytest.fixture
def app(built: identity.Identity) -> Litestar:
    """Return a bare application with identity's routes."""

    async def principal(request: Request) -> Principal:  # type: ignore[type-arg]  # bare
        return await built.authenticate(request.headers["authorization"].removeprefix("Bearer "))

    def cause() -> Cause:
        return CAUSE

    return Litestar(
        list(built.module.routes),  # type: ignore[arg-type]  # the bus does not know routers
        dependencies={
            "principal": Provide(principal),
            "cause": Provide(cause, sync_to_thread=False),
        },
    )


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the bare application."""
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar types it closer
    async with httpx.AsyncClient(transport=transport, base_url="http://govid.test") as client:
        yield client


async def test_the_contracts_examples_work_in_order(client: httpx.AsyncClient) -> None:
    registered = await client.post("/api/auth/register", json=EXAMPLE)
    assert registered.status_code == 201
    signed_in = await client.post("/api/auth/login", json=CREDENTIALS)
    assert signed_in.status_code == 200
    assert signed_in.json().keys() == {"access_token", "token_type"}
    assert signed_in.json()["token_type"] == "bearer"
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    profile = await client.get("/api/auth/profile", headers=headers)
    assert profile.status_code == 200
    assert profile.json() == registered.json()


async def test_a_user_has_exactly_the_contracts_members(
    client: httpx.AsyncClient,
) -> None:
    body = (await client.post("/api/auth/register", json=EXAMPLE)).json()
    assert list(body) == [
        "id",
        "email",
        "identifierType",
        "identifierValue",
        "phoneNumber",
        "status",
        "auth_provider",
        "created_at",
        "updated_at",
    ]


def test_i8_each_route_says_who_may_use_it(app: Litestar) -> None:
    opts = {
        route.path: {name for name in handler.opt if name in {"public", "permission"}}
        for route in app.routes
        for handler in route.route_handlers  # type: ignore[attr-defined]  # HTTP routes only
        if route.path.startswith("/api/auth") and "OPTIONS" not in handler.http_methods
    }
    assert opts == {
        "/api/auth/register": {"public"},
        "/api/auth/login": {"public"},
        "/api/auth/password-policy": {"public"},
        "/api/auth/profile": {"permission"},
    }


def test_the_documents_show_the_contracts_names_and_examples(app: Litestar) -> None:
    document = app.openapi_schema.to_schema()
    schema = document["components"]["schemas"]["Register"]
    assert schema["examples"][0] == EXAMPLE
    assert schema["required"] == ["email", "identifierType", "identifierValue", "password"]


async def test_the_door_shows_public_keys(built: identity.Identity) -> None:
    (key,) = msgspec.json.decode(built.jwks())["keys"]
    assert key["alg"] == "ES256"


def test_identity_subscribes_under_its_permanent_names(built: identity.Identity) -> None:
    assert [consumer.name for consumer in built.module.consumers] == [
        "identity.verification",
        "identity.lifecycle",
    ]
