"""Tax records over HTTP: exact money, exact shapes, own records only."""

from uuid import UUID, uuid4

import httpx
import pytest

from govid.bus import Database
from tests.statements import statements

PATH = "/api/hmrc/tax-records"


def body(amount: str = "1250.5", **others: str) -> str:
    """Return a request as text, so that the amount is in it as given."""
    members = {"name": "Ida Newton", "taxNumber": "10000 57161K", "taxYear": "2022-2023"} | others
    fields = [f'"{name}": "{value}"' for name, value in members.items()]
    return "{" + ", ".join([*fields, f'"taxAmount": {amount}']) + "}"


async def file(client: httpx.AsyncClient, content: str) -> httpx.Response:
    return await client.post(PATH, content=content, headers={"Content-Type": "application/json"})


async def test_a_record_is_answered_in_the_contracts_shape(client: httpx.AsyncClient) -> None:
    answer = await file(client, body())
    record_id = UUID(answer.json()["id"])
    assert answer.status_code == 201
    assert answer.text == (
        f'{{"id":"{record_id}","taxId":"T10001","name":"Ida Newton","taxNumber":"1000057161",'
        '"taxYear":"2022-2023","source":"self-declared","taxAmount":1250.50}'
    )


@pytest.mark.parametrize(
    ("written", "stored"),
    [("2022-23", "2022-2023"), ("1999-00", "1999-2000"), ("2022-2023", "2022-2023")],
)
async def test_d8_a_year_is_filed_in_either_form_and_shown_in_the_contracts(
    client: httpx.AsyncClient, written: str, stored: str
) -> None:
    answer = await file(client, body(taxYear=written))
    assert (answer.status_code, answer.json()["taxYear"]) == (201, stored)


async def test_the_list_holds_what_was_filed_to_the_byte(client: httpx.AsyncClient) -> None:
    filed = await file(client, body())
    listed = await client.get(PATH)
    assert (listed.status_code, listed.text) == (200, f"[{filed.text}]")


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("0", "0.00"),
        ("0.1", "0.10"),
        ('"0.10"', "0.10"),
        ("-12.34", "-12.34"),
        ('"-12.3"', "-12.30"),
        ("100", "100.00"),
        ("9999999999999.99", "9999999999999.99"),
        ('"-9999999999999.99"', "-9999999999999.99"),
        ("4503599627370.97", "4503599627370.97"),
    ],
)
async def test_an_amount_comes_out_as_it_went_in(
    client: httpx.AsyncClient, written: str, stored: str
) -> None:
    await file(client, body(written))
    assert (await client.get(PATH)).text.endswith(f'"taxAmount":{stored}}}]')


@pytest.mark.parametrize(
    ("content", "field", "kind"),
    [
        (body("1e-2"), "taxAmount", "amount_format"),
        (body('"NaN"'), "taxAmount", "amount_format"),
        (body("-0.00"), "taxAmount", "amount_format"),
        (body(taxNumber="1234567890"), "taxNumber", "utr_format"),
        (body(taxYear="2022-2024"), "taxYear", "tax_year_format"),
    ],
)
async def test_a_wrong_field_is_named(
    client: httpx.AsyncClient, content: str, field: str, kind: str
) -> None:
    answer = await file(client, content)
    fault = answer.json()["errors"][0]
    assert (answer.status_code, fault["loc"], fault["type"]) == (422, ["body", field], kind)
    assert (await client.get(PATH)).json() == []


async def test_no_one_sees_anothers_records(client: httpx.AsyncClient) -> None:
    await file(client, body())
    answer = await client.get(PATH, headers={"X-Account": str(uuid4())})
    assert (answer.status_code, answer.text) == (200, "[]")


async def test_pages_follow_one_another_and_end(client: httpx.AsyncClient) -> None:
    filed = [(await file(client, body(name=name))).json() for name in ("one", "two", "three")]
    first = await client.get(PATH, params={"limit": 2})
    second = await client.get(first.links["next"]["url"])
    assert sorted(first.json() + second.json(), key=lambda r: r["id"]) == sorted(
        filed, key=lambda r: r["id"]
    )
    assert (len(first.json()), len(second.json()), second.links) == (2, 1, {})


async def test_an_exactly_full_page_is_the_last(client: httpx.AsyncClient) -> None:
    await file(client, body())
    assert (await client.get(PATH, params={"limit": 1})).links == {}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "cursor=x"])
async def test_a_wrong_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"{PATH}?{query}")).status_code == 400


async def test_a_list_is_one_statement(client: httpx.AsyncClient, database: Database) -> None:
    async with statements(database.requests) as sent:
        await client.get(PATH)
    assert sent == ["SELECT page.id,"]


@pytest.mark.parametrize("bad", ["\\u001b", "\\u202e", "\\n", "\\t", "\\u2028"])
async def test_e11_a_name_is_one_line_without_controls(client: httpx.AsyncClient, bad: str) -> None:
    answer = await file(client, body().replace("Ida Newton", f"Ida{bad}Newton"))
    fault = answer.json()["errors"][0]
    assert (answer.status_code, fault["loc"], fault["type"]) == (
        *(422, ["body", "name"], "control_character"),
    )


async def test_e11_old_names_are_neutralised(client: httpx.AsyncClient, database: Database) -> None:
    await file(client, body())
    await database.reads.execute("UPDATE hmrc.tax_record SET name = $1", "Ida\x1b\u202e")
    (record,) = (await client.get(PATH)).json()
    assert record["name"] == "Ida\ufffd\ufffd"
