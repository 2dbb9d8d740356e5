"""The routes, in a bare application: what the gateway adds is the gateway's to test."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from litestar.connection import Request
from litestar.di import Provide

from govid import identity
from govid.bus import Database, OperationContext, Principal, SystemClock
from tests.audit_entries import AUDIT
from tests.integration.identity.conftest import CONTEXT, SETTINGS, build_uow

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
    built = identity.build(
        SETTINGS, database, build_uow(database), SystemClock(), departments={}, audit=AUDIT
    )
    await asyncio.gather(*(start() for start in built.module.starts))
    return built


@pytest.fixture
def app(built: identity.Identity) -> Litestar:
    """Return a bare application with identity's routes."""

    async def principal(request: Request) -> Principal:  # type: ignore[type-arg]  # bare
        return await built.authenticate(request.headers["authorization"].removeprefix("Bearer "))

    def context() -> OperationContext:
        return CONTEXT

    return Litestar(
        list(built.module.routes),  # type: ignore[arg-type]  # the bus does not know routers
        dependencies={
            "principal": Provide(principal),
            "context": Provide(context, sync_to_thread=False),
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
        "assurance",
    ]


def test_i8_each_route_says_who_may_use_it(app: Litestar) -> None:
    opts = {
        f"{method} {route.path}": {name for name in handler.opt if name in {"public", "permission"}}
        for route in app.routes
        for handler in route.route_handlers  # type: ignore[attr-defined]  # HTTP routes only
        for method in handler.http_methods - {"OPTIONS"}
        if route.path.startswith(("/api/auth", "/.well-known"))
    }
    assert opts == {
        "GET /.well-known/jwks.json": {"public"},
        "GET /.well-known/openid-configuration": {"public"},
        "POST /api/auth/register": {"public"},
        "POST /api/auth/verification": {"permission"},
        "POST /api/auth/login": {"public"},
        "GET /api/auth/password-policy": {"public"},
        "POST /api/auth/password": {"permission"},
        "POST /api/auth/reset": {"public"},
        "POST /api/auth/reset/confirm": {"public"},
        "POST /api/auth/email": {"permission"},
        "POST /api/auth/email/confirm": {"public"},
        "POST /api/auth/email/confirmation": {"permission"},
        "GET /api/auth/export": {"permission"},
        "DELETE /api/auth/account": {"permission"},
        "GET /api/auth/profile": {"permission"},
        "POST /api/auth/sessions": {"public"},
        "POST /api/auth/refresh": {"public"},
        "GET /api/auth/sessions": {"permission"},
        "DELETE /api/auth/sessions/{session_id:uuid}": {"permission"},
        "POST /api/auth/logout": {"permission"},
        "POST /api/auth/logout-all": {"permission"},
        "GET /api/auth/access-log": {"permission"},
        "GET /api/auth/access-log/{entry_id:uuid}/proof": {"permission"},
        "GET /api/auth/audit/consistency": {"public"},
        "GET /.well-known/audit-checkpoint": {"public"},
        "GET /.well-known/audit-keys": {"public"},
    }


def test_the_documents_show_the_contracts_names_and_examples(app: Litestar) -> None:
    document = app.openapi_schema.to_schema()
    schema = document["components"]["schemas"]["Register"]
    assert schema["examples"][0] == EXAMPLE
    assert schema["required"] == ["email", "identifierType", "identifierValue", "password"]


async def test_the_public_keys_are_shown_for_as_long_as_they_may_be_kept(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/.well-known/jwks.json")
    (key,) = answer.json()["keys"]
    assert key["alg"] == "ES256"
    assert answer.headers["cache-control"] == "public, max-age=300"


async def test_the_issuer_says_who_it_is_and_where_its_keys_are(client: httpx.AsyncClient) -> None:
    answer = await client.get("/.well-known/openid-configuration")
    assert answer.json() == {
        "issuer": "https://govid.example",
        "jwks_uri": "https://govid.example/.well-known/jwks.json",
        "scopes_supported": ["govid"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }
    assert answer.headers["cache-control"] == "public, max-age=300"


def test_identity_subscribes_under_its_permanent_names(built: identity.Identity) -> None:
    assert [consumer.name for consumer in built.module.subscribers] == [
        "identity.verification",
        "identity.lifecycle",
        "identity.letters",
    ]
