"""Patient records over HTTP: exact shapes, canonical numbers, own records only."""

from uuid import UUID, uuid4

import httpx
import pytest
from msgspec import structs

from govid import nhs
from govid.bus import Database, UnitOfWork
from tests.integration.departments import FixedClock, serving
from tests.integration.nhs.conftest import SETTINGS
from tests.statements import statements

PATH = "/api/nhs/patients"
BODY = {"name": "Jane Smith", "nhsNumber": "943 476 5919", "medicalHistory": "None known"}


async def test_a_record_is_answered_in_the_contracts_shape(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=BODY)
    assert answer.status_code == 201
    assert answer.json() == {
        "id": str(UUID(answer.json()["id"])),
        "patientId": "P10001",
        "name": "Jane Smith",
        "nhsNumber": "9434765919",
        "medicalHistory": "None known",
        "source": "self-declared",
    }


async def test_the_medical_history_may_be_left_out(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json={"name": "Jane", "nhsNumber": "nhs123456789"})
    assert (answer.json()["nhsNumber"], answer.json()["medicalHistory"]) == ("NHS123456789", None)


async def test_the_list_holds_what_was_filed_to_the_byte(client: httpx.AsyncClient) -> None:
    filed = await client.post(PATH, json=BODY)
    listed = await client.get(PATH)
    assert (listed.status_code, listed.text) == (200, f"[{filed.text}]")


async def test_no_one_sees_anothers_records(client: httpx.AsyncClient) -> None:
    await client.post(PATH, json=BODY)
    answer = await client.get(PATH, headers={"X-Account": str(uuid4())})
    assert (answer.status_code, answer.text) == (200, "[]")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"nhsNumber": "9434765918"}, "nhsNumber"),
        ({"nhsNumber": "943476591"}, "nhsNumber"),
        ({"nhsNumber": ""}, "nhsNumber"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 1}, "name"),
        ({"medicalHistory": "x" * 10_001}, "medicalHistory"),
        ({"patientId": "P1"}, "patientId"),
    ],
)
async def test_a_wrong_field_is_named(
    client: httpx.AsyncClient, wrong: dict[str, object], field: str
) -> None:
    answer = await client.post(PATH, json=BODY | wrong)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", field])


async def test_the_prototypes_form_is_refused_where_no_simulator_is(
    database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    settings = structs.replace(SETTINGS, accept_prototype_nhs=False)
    module = nhs.build(settings, database, uow, clock)
    async with serving(module, uuid4()) as client:
        answer = await client.post(PATH, json=BODY | {"nhsNumber": "NHS123456789"})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "nhsNumber"])


async def test_pages_follow_one_another_and_end(client: httpx.AsyncClient) -> None:
    filed = [(await client.post(PATH, json=BODY)).json()["id"] for _ in range(5)]
    first = await client.get(PATH, params={"limit": 2})
    second = await client.get(first.links["next"]["url"])
    third = await client.get(second.links["next"]["url"])
    pages = [[record["id"] for record in page.json()] for page in (first, second, third)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert pages[0] + pages[1] + pages[2] == sorted(filed)
    assert third.links == {}


async def test_a_cursor_leads_into_no_one_elses_list(client: httpx.AsyncClient) -> None:
    await client.post(PATH, json=BODY)
    await client.post(PATH, json=BODY)
    first = await client.get(PATH, params={"limit": 1})
    stranger = {"X-Account": str(uuid4())}
    assert (await client.get(first.links["next"]["url"], headers=stranger)).json() == []


async def test_a_list_is_one_statement(client: httpx.AsyncClient, database: Database) -> None:
    async with statements(database.requests) as sent:
        await client.get(PATH)
    assert sent == ["SELECT page.id,"]


async def test_e8_a_record_of_the_registry_is_not_removed_by_its_holder(
    client: httpx.AsyncClient, database: Database, account_id: UUID
) -> None:
    record = await database.reads.fetchval(
        "INSERT INTO nhs.patient (id, account_id, name, nhs_number, source, created_at, updated_at)"
        " VALUES (gen_random_uuid(), $1, 'Jane Smith', '9434765919', 'registry', now(), now())"
        " RETURNING id",
        account_id,
    )
    answer = await client.delete(f"{PATH}/{record}")
    assert answer.status_code == 404
    assert len((await client.get(PATH)).json()) == 1


@pytest.mark.parametrize("text", ["x", '"', "\u00e9", "\n", "\U0001f600"])
async def test_d3_a_page_is_bounded_by_bytes_and_its_link_leads_on(
    client: httpx.AsyncClient, text: str
) -> None:
    body = {**BODY, "medicalHistory": text * 10_000}
    for _ in range(120):
        assert (await client.post(PATH, json=body)).status_code == 201
    pages, path = [], f"{PATH}?limit=1000"
    while path:
        answer = await client.get(path)
        assert len(answer.content) <= 1024 * 1024 + 45_000
        pages.append(answer.json())
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    ids = [record["id"] for page in pages for record in page]
    assert len(ids) == len(set(ids)) == 120
    assert all(pages)
    assert len(pages) > 1


async def test_d3_the_link_keeps_the_limit_that_was_asked_for(client: httpx.AsyncClient) -> None:
    for _ in range(60):
        await client.post(PATH, json={**BODY, "medicalHistory": "x" * 10_000})
    answer = await client.get(f"{PATH}?limit=1000")
    assert answer.links["next"]["url"].startswith(f"{PATH}?limit=1000&cursor=")
