"""D7: a 422 names the sent member as it was sent, and advises an accepted form."""

from typing import Any

import pytest

from tests.http.client import NIN, Client

DATE = "must be a real date like 2027-03-01"
NEEDED = "this is needed"
FACTS = {**NIN, "givenName": "Ada", "familyName": "Lovelace"}


@pytest.mark.parametrize(
    ("path", "errors"),
    [
        ("/api/nhs/slots?specialty=GP&date=01/03/2027", [("date", DATE, "wrong_form")]),
        ("/api/nhs/slots?specialty=GP&date=2027-02-29", [("date", DATE, "wrong_form")]),
        ("/api/nhs/slots?specialty=GP&date=", [("date", DATE, "wrong_form")]),
        ("/api/nhs/slots?specialty=GP&date=2027-03-01T00:00:00Z", [("date", DATE, "wrong_form")]),
        ("/api/nhs/slots?specialty=GP", [("date", NEEDED, "missing")]),
        ("/api/nhs/slots?date=2027-03-01", [("specialty", NEEDED, "missing")]),
        ("/api/hmrc/tax-account", [("since", NEEDED, "missing")]),
        ("/api/hmrc/tax-account?since=6 April 2024", [("since", DATE, "wrong_form")]),
        ("/api/nhs/patients?limit=x", [("limit", "must be a whole number", "wrong_type")]),
        ("/api/auth/sessions?cursor=x", [("cursor", "must be a UUID", "wrong_form")]),
        (
            "/api/nhs/slots?specialty=&date=x",
            [("specialty", "at least 1 characters", "too_short"), ("date", DATE, "wrong_form")],
        ),
    ],
)
async def test_d7_a_wrong_parameter_is_named_as_it_was_sent(
    visitor: Client, genuine: str, path: str, errors: list[tuple[str, str, str]]
) -> None:
    answer = await visitor.get(path, genuine)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"loc": ["query", name], "msg": msg, "type": kind} for name, msg, kind in errors
    ]
    assert answer.json()["detail"] == f"{errors[0][0]}: {errors[0][1]}"


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_d7_a_wrong_header_is_named_as_it_was_sent(
    visitor: Client, genuine: str, key: str
) -> None:
    booking = {"date": "2027-03-01", "slots": ["a"], "specialty": "GP", "patient_identifier": "1"}
    answer = await visitor.http.post(
        "/api/nhs/bookings",
        json=booking,
        headers={"Authorization": f"Bearer {genuine}", "Idempotency-Key": key},
    )
    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["errors"]] == [["header", "Idempotency-Key"]]


@pytest.mark.parametrize(
    ("born", "msg"),
    [
        ("1981-02-29", DATE),
        ("29/02/1980", DATE),
        ("1980-02-29T00:00:00Z", DATE),
        (5, "must be a date or null"),
    ],
)
async def test_d7_a_wrong_date_in_a_body_gets_the_form_of_a_date(
    visitor: Client, born: Any, msg: str
) -> None:
    answer = await visitor.post("/api/auth/register", {**FACTS, "dateOfBirth": born})
    assert answer.status_code == 422
    assert [(fault["loc"], fault["msg"]) for fault in answer.json()["errors"]] == [
        (["body", "dateOfBirth"], msg)
    ]


async def test_d7_the_advised_form_is_taken(client: Client) -> None:
    answer = await client.register({**FACTS, "dateOfBirth": "1927-03-01"})
    assert answer.status_code == 201
