"""Sign-in: odd passwords are wrong ones, odd addresses unknown ones, and no answer tells more."""

import asyncio

import pytest

from tests.http.client import NIN, PASSWORD, Client

LOGIN = "/api/auth/login"


@pytest.fixture
def overrides() -> dict[str, object]:
    return {"GOVID_ADDRESS_FAILURES": 0, "GOVID_LOGIN_FAILURES": 1000}


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("", id="empty"),
        pytest.param(" " * 12, id="only spaces"),
        pytest.param("x" * 257, id="257"),
        pytest.param("x" * 16_000, id="16,000"),
        pytest.param("ﷺ" * 256, id="256 that expand 18-fold"),
        pytest.param("\u202e321drowssap", id="right to left"),
        pytest.param(NIN["email"], id="the address"),
        pytest.param(f"{PASSWORD} ", id="a space behind"),
        pytest.param(PASSWORD.upper(), id="another case"),
        pytest.param("' OR '1'='1", id="SQL"),
    ],
)
async def test_an_odd_password_is_a_wrong_one(client: Client, password: str) -> None:
    await client.register()
    usual = await client.post(LOGIN, {"email": NIN["email"], "password": "wrong-password"})
    odd = await client.post(LOGIN, {"email": NIN["email"], "password": password})
    assert odd.status_code == 401
    assert odd.json() == usual.json()
    assert list(odd.headers) == list(usual.headers)


@pytest.mark.parametrize("body", [b'"pass\\u0000word123"', b'"password\\ud800"'])
async def test_a_password_that_is_no_text_is_a_422(client: Client, body: bytes) -> None:
    answer = await client.post_raw(LOGIN, b'{"email": "a@example.com", "password": ' + body + b"}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "password"]


async def test_a_megabyte_is_a_413_before_anything_is_hashed(client: Client) -> None:
    answer = await client.post(LOGIN, {"email": NIN["email"], "password": "x" * 1_000_000})
    assert answer.status_code == 413


async def test_sixty_four_emoji_are_a_password(client: Client) -> None:
    password = "🦉" * 64
    assert (await client.register(password=password)).status_code == 201
    await client.token(password=password)
    shorter = await client.post(LOGIN, {"email": NIN["email"], "password": "🦉" * 63})
    assert shorter.status_code == 401


@pytest.mark.parametrize(
    "email",
    [
        "",
        "no address",
        f"{'a' * 300}@example.com",
        "test.nin+tag@example.com",
        '"test.nin"@example.com',
        "test.nin@example.com\r\nBcc: evil@example.com",
        "test.nin@exаmple.com",  # with a Cyrillic a
        "test.nin@example.com ",
        "tеst.nin@example.com",  # with a Cyrillic e
    ],
)
async def test_an_odd_address_is_an_unknown_one(client: Client, email: str) -> None:
    await client.register()
    usual = await client.post(LOGIN, {"email": "nobody@example.com", "password": PASSWORD})
    odd = await client.post(LOGIN, {"email": email, "password": PASSWORD})
    assert odd.status_code == 401
    assert odd.json() == usual.json()


async def test_the_right_one_among_parallel_wrong_ones_gets_in(client: Client) -> None:
    await client.register()
    wrong = {"email": NIN["email"], "password": "wrong-password"}
    right = {"email": NIN["email"], "password": PASSWORD}
    answers = await asyncio.gather(
        *(client.post(LOGIN, wrong) for _ in range(3)),
        client.post(LOGIN, right),
        *(client.post(LOGIN, wrong) for _ in range(2)),
    )
    assert [answer.status_code for answer in answers] == [401, 401, 401, 200, 401, 401]


async def test_a_sign_in_tells_two_things_and_sets_no_cookie(client: Client) -> None:
    await client.register()
    answer = await client.post(LOGIN, {"email": NIN["email"], "password": PASSWORD})
    assert sorted(answer.json()) == ["access_token", "token_type"]
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
