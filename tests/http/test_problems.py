"""Every refusal is a problem document, wherever it arises."""

import pytest

from tests.http.client import NIN, Client


async def test_an_unknown_address_is_a_404(visitor: Client) -> None:
    answer = await visitor.get("/api/nhs/nothing?name=canary")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:govid:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address",
        "instance": "/api/nhs/nothing",
    }


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/nothing.json", "/schema", "/health/x"])
async def test_a_404_is_a_problem_also_among_machine_pages(visitor: Client, path: str) -> None:
    answer = await visitor.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/api/auth/register", "OPTIONS, POST"),
        ("DELETE", "/api/auth/profile", "GET, HEAD, OPTIONS"),
        ("PUT", "/api/nhs/patients", "GET, HEAD, OPTIONS, POST"),
        ("TRACE", "/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    visitor: Client, method: str, path: str, allow: str
) -> None:
    answer = await visitor.http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allow
    assert answer.json()["type"] == "urn:govid:problem:method-not-allowed"


async def test_a_long_address_is_a_414(visitor: Client) -> None:
    answer = await visitor.get("/?" + "x" * 2048)
    assert answer.status_code == 414
    assert answer.json()["type"] == "urn:govid:problem:url-too-long"
    assert answer.json()["instance"] == "/"


async def test_a_long_path_is_not_repeated_whole(visitor: Client) -> None:
    answer = await visitor.get("/" + "%09" * 8000)
    assert answer.status_code == 414
    assert answer.json()["instance"] == ("/" + "%09" * 8000)[:256]


async def test_large_headers_are_a_431(visitor: Client) -> None:
    answer = await visitor.http.get("/", headers={"x-filler": "y" * 16_384})
    assert answer.status_code == 431
    assert answer.json()["type"] == "urn:govid:problem:headers-too-large"


async def test_wrong_parameters_are_named_and_not_repeated(client: Client) -> None:
    token = await client.citizen()
    answer = await client.get("/api/nhs/patients?limit=canary&cursor=canary", token)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "limit: must be a whole number"
    assert answer.json()["errors"] == [
        {"loc": ["query", "limit"], "msg": "must be a whole number", "type": "wrong_type"},
        {"loc": ["query", "cursor"], "msg": "must be a UUID", "type": "wrong_form"},
    ]
    assert "canary" not in answer.text


@pytest.mark.parametrize(("limit", "msg"), [("0", "at least 1"), ("1001", "at most 1000")])
async def test_a_limit_has_limits(client: Client, limit: str, msg: str) -> None:
    token = await client.citizen()
    answer = await client.get(f"/api/hmrc/tax-records?limit={limit}", token)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["msg"] == msg


async def test_an_identifier_in_a_path_that_is_none_is_a_404(client: Client) -> None:
    token = await client.citizen()
    answer = await client.get("/api/nhs/appointments/canary", token)
    assert answer.status_code == 404


async def test_a_missing_token_asks_for_one(visitor: Client) -> None:
    answer = await visitor.get("/api/auth/profile")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == "urn:govid:problem:authentication-required"


async def test_a_taken_email_and_a_taken_number_are_named(client: Client) -> None:
    assert (await client.register()).status_code == 201
    email = await client.register(identifierValue="AB123457D")
    assert email.status_code == 400
    assert email.json()["detail"] == "A user with this email already exists"
    number = await client.register(email="other@example.com")
    assert number.status_code == 400
    assert number.json()["detail"] == "A user with this NIN already exists"


async def test_a_wrong_password_and_an_unknown_email_get_one_answer(client: Client) -> None:
    await client.register()
    login = "/api/auth/login"
    wrong = await client.post(login, {"email": NIN["email"], "password": "wrong-password"})
    unknown = await client.post(login, {"email": "nobody@example.com", "password": "password123"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["detail"] == "Invalid email or password"
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert list(wrong.headers) == list(unknown.headers)
