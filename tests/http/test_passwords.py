"""Which passwords a new account may have, with the lists (as in production) and without them."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.backends import postgres
from tests.http.client import Client
from tests.http.serving import demonstration, serving

TABLE = {
    "the contract's example": ("password123", None, "password_common"),
    "the most used": ("12345678", None, "password_common"),
    "the most used, spaced and in capitals": ("PASS word 123", None, "password_common"),
    "stolen elsewhere": ("liverpool123", None, "password_breached"),
    "the service's name": ("i trust govid", None, "password_context"),
    "the owner's number": ("it is JA 00 00 05 D", None, "password_context"),
    "the owner's address": ("tessellate me", None, "password_context"),
    "seven characters": ("zq8#Vt!", "password_too_short", "password_too_short"),
    "eight characters": ("zq8#Vt!m", None, None),
    "no digit, no capital, no sign": ("tangled otter banister", None, None),
    "only spaces": (" " * 12, None, None),
    "sixty-four emoji": ("🦦🦔" * 32, None, None),
    "256 characters": ("otter " * 42 + "zzzz", None, None),
    "257 characters": ("otter " * 42 + "zzzzz", "password_too_long", "password_too_long"),
    "one character that counts as eighteen": (
        "\ufdfa" * 20,
        "password_too_long",
        "password_too_long",
    ),
}
WITHOUT = [(index, password, kind) for index, (password, kind, _) in enumerate(TABLE.values())]
WITH = [(index, password, kind) for index, (password, _, kind) in enumerate(TABLE.values())]


@pytest.fixture(scope="module")
def strict_server(
    postgres_server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the URL of a server with production's rules for passwords."""
    url = asyncio.run(postgres.clone(postgres_server, template))
    settings = demonstration(url, tmp_path_factory.mktemp("strict"), GOVID_PASSWORD_CHECKS=True)
    with serving(settings) as address:
        yield address
    asyncio.run(postgres.drop(postgres_server, url))


@pytest.fixture
async def strict(strict_server: str) -> AsyncIterator[Client]:
    """Return a client of that server."""
    async with httpx.AsyncClient(base_url=strict_server, timeout=10) as http:
        yield Client(http)


async def refusal(client: Client, index: int, password: str) -> list[str]:
    """Register person number *index* with *password*; return what is wrong, if anything."""
    answer = await client.register(
        email=f"tessellate+{index}@example.com",
        password=password,
        identifierValue=f"JA0000{index:02}D",
    )
    assert answer.status_code == (422 if answer.json().get("errors") else 201), answer.text
    return [
        f"{'.'.join(fault['loc'])} {fault['type']}" for fault in answer.json().get("errors", [])
    ]


def expected(kind: str | None) -> list[str]:
    return [f"body.password {kind}"] if kind else []


@pytest.mark.parametrize(("index", "password", "kind"), WITHOUT, ids=TABLE)
async def test_r2_a_password_without_the_lists(
    visitor: Client, index: int, password: str, kind: str | None
) -> None:
    assert await refusal(visitor, index, password) == expected(kind)


@pytest.mark.parametrize(("index", "password", "kind"), WITH, ids=TABLE)
async def test_r2_a_password_with_the_lists(
    strict: Client, index: int, password: str, kind: str | None
) -> None:
    assert await refusal(strict, index, password) == expected(kind)


async def test_r2_a_refused_password_is_not_repeated(strict: Client) -> None:
    answer = await strict.register(password="password123")
    assert answer.json()["detail"] == "password: is one of the most commonly used passwords"
    assert "password123" not in answer.text


async def test_the_rules_are_public_in_a_demonstration(visitor: Client) -> None:
    answer = await visitor.get("/api/auth/password-policy")
    assert answer.status_code == 200
    assert answer.json() == {
        "min_length": 8,
        "max_length": 256,
        "advised_length": 15,
        "normalisation": "NFKC",
        "refusals": ["password_too_short", "password_too_long", "password_not_text"],
    }


async def test_the_rules_are_public_in_production(strict: Client) -> None:
    answer = await strict.get("/api/auth/password-policy")
    assert answer.json()["refusals"][3:] == [
        "password_common",
        "password_breached",
        "password_context",
    ]
