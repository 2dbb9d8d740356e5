"""Health, keys, and the API's description with its viewer."""

import re
from typing import Any

import pytest

from tests.http.client import Client

ASSETS = ["favicon-32x32.png", "swagger-ui.css", "swagger-ui-bundle.js", "start.js"]


async def test_without_kafka_govid_is_degraded_and_ready(visitor: Client) -> None:
    answer = await visitor.get("/health")
    assert answer.status_code == 200
    view = answer.json()
    assert sorted(view) == ["dependencies", "service", "status", "timestamp"]
    assert view["status"] == "degraded"
    assert view["service"] == "govid"
    assert view["dependencies"]["database"] == "ok"
    assert view["dependencies"]["kafka"] == "down"
    assert view["dependencies"]["dispatcher"] == "ok"
    assert view["dependencies"]["nhs"] == "simulator"
    assert view["dependencies"]["hmrc"] == "simulator"


@pytest.mark.parametrize("page", ["ready", "live", "startup"])
async def test_orchestrators_are_answered(visitor: Client, page: str) -> None:
    assert (await visitor.get(f"/health/{page}")).status_code == 200


async def test_the_keys_are_published(visitor: Client) -> None:
    answer = await visitor.get("/.well-known/jwks.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    key = answer.json()["keys"][0]
    assert sorted(key) == ["alg", "crv", "kid", "kty", "use", "x", "y"]
    assert key["alg"] == "ES256"


async def openapi(visitor: Client) -> dict[str, Any]:
    answer = await visitor.get("/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


async def test_the_description_holds_the_contracts_calls(visitor: Client) -> None:
    paths = (await openapi(visitor))["paths"]
    calls = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert {
        ("GET", "/api/auth/profile"),
        ("GET", "/api/hmrc/tax-records"),
        ("GET", "/api/nhs/appointments/{appointment_id}"),
        ("GET", "/api/nhs/patients"),
        ("POST", "/api/auth/login"),
        ("POST", "/api/auth/register"),
        ("POST", "/api/hmrc/tax-records"),
        ("POST", "/api/nhs/appointments"),
        ("POST", "/api/nhs/patients"),
    } - calls == set()


async def test_bodies_stay_described_though_govid_reads_them_itself(visitor: Client) -> None:
    document = await openapi(visitor)
    operation = document["paths"]["/api/auth/register"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    name = schema["$ref"].rsplit("/", 1)[1]
    assert sorted(document["components"]["schemas"][name]["properties"]) == [
        "dateOfBirth",
        "email",
        "familyName",
        "givenName",
        "identifierType",
        "identifierValue",
        "password",
        "phoneNumber",
        "postcode",
    ]
    assert "test.nin@example.com" in str(operation)


async def test_security_and_refusals_are_described(visitor: Client) -> None:
    document = await openapi(visitor)
    profile = document["paths"]["/api/auth/profile"]["get"]
    assert profile["security"] == [{"bearer": []}]
    assert profile["responses"]["401"] == {"$ref": "#/components/responses/401"}
    assert "application/problem+json" in document["components"]["responses"]["401"]["content"]
    assert document["paths"]["/api/auth/login"]["post"]["security"] == []
    assert "Problem" in document["components"]["schemas"]


async def test_every_reference_leads_somewhere(visitor: Client) -> None:
    document = await openapi(visitor)
    found = set(re.findall(r"'#/components/(schemas|responses)/([^']+)'", str(document)))
    known = {(kind, name) for kind, named in document["components"].items() for name in named}
    assert found - known == set()


async def test_the_viewer_loads_nothing_from_other_hosts(visitor: Client) -> None:
    page = await visitor.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources == [f"/docs/{name}" for name in ASSETS]
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("name", ASSETS)
async def test_the_viewers_parts_are_served_by_govid(visitor: Client, name: str) -> None:
    answer = await visitor.get(f"/docs/{name}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert "sourceMappingURL=http" not in answer.text


async def test_the_viewer_has_no_inline_script(visitor: Client) -> None:
    page = (await visitor.get("/docs")).text
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []


async def test_what_every_route_may_refuse_is_described_everywhere(visitor: Client) -> None:
    paths = (await openapi(visitor))["paths"]
    operations = [one for methods in paths.values() for one in methods.values()]
    anywhere = {"400", "414", "421", "422", "431", "503"}
    assert [one for one in operations if anywhere - one["responses"].keys()] == []
    bodies = [one["responses"] for one in operations if "requestBody" in one]
    assert [one for one in bodies if {"408", "413", "415"} - one.keys()] == []
    guarded = [one["responses"] for one in operations if one["security"]]
    assert [one for one in guarded if "401" not in one] == []
