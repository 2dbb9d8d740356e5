"""When an account is closed, its tax records are erased."""

from uuid import UUID, uuid4

import httpx

from govid.bus import Database, Module, UnitOfWork
from govid.bus.events import AccountClosed
from tests.integration.departments import NOW, build_delivery, find_handler, handle

PATH = "/api/hmrc/tax-records"
RECORD = {"name": "Ada", "taxNumber": "1000057161", "taxYear": "2022-2023", "taxAmount": 1}


async def test_a_closed_accounts_records_are_erased_and_no_others(
    client: httpx.AsyncClient, module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    other = {"X-Account": str(uuid4())}
    assert (await client.post(PATH, json=RECORD)).status_code == 201
    assert (await client.post(PATH, json=RECORD, headers=other)).status_code == 201
    closed = build_delivery(AccountClosed(account_id=account_id, timestamp=NOW))
    await handle(find_handler(module, "hmrc.erasure"), closed, uow)
    assert (await client.get(PATH)).json() == []
    assert len((await client.get(PATH, headers=other)).json()) == 1


async def test_an_account_that_never_filed_is_no_problem(
    module: Module, uow: UnitOfWork, account_id: UUID, database: Database
) -> None:
    closed = build_delivery(AccountClosed(account_id=account_id, timestamp=NOW))
    await handle(find_handler(module, "hmrc.erasure"), closed, uow)
    assert await database.reads.fetchval("SELECT count(*) FROM hmrc.tax_record") == 0
