"""An export is streamed, one of an account at a time and few of a process."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest

from govid.bus import Database, Principal, QuotaCounters, RateExceeded, SystemClock
from govid.identity.accounts.data_rights import DataExport, ExportSections
from govid.identity.errors import ExportsBusy
from govid.identity.repository.claimed_facts import ClaimedFactsCipher, ClaimedFactsRepository
from govid.identity.repository.data_export import DataExportRepository
from govid.identity.repository.verification_attempts import VerificationHistory
from tests.integration.identity.conftest import CONTEXT, IdentityFixture, build_uow

RECORD = {"text": "x" * 10_000}


class Records:
    """A department with 3 pages of 40 records."""

    def sections(self) -> ExportSections:
        return {"records": self._records}

    async def _records(self, account_id: UUID) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        for number in range(3):
            yield [{**RECORD, "page": number} for _ in range(40)]


@pytest.fixture
def export(database: Database) -> DataExport:
    return DataExport(
        build_uow(database),
        DataExportRepository(database.requests.execution_options(isolation_level="AUTOCOMMIT")),
        ClaimedFactsRepository(database, ClaimedFactsCipher(b"k" * 32)),
        VerificationHistory(database),
        {"nhs": Records(), "hmrc": Records()},
        QuotaCounters("identity.quota"),
        SystemClock(),
        event_days=90,
        max_per_hour=0,
    )


async def holder(identity: IdentityFixture, number: int = 0) -> Principal:
    await identity.register(email=f"ada{number}@example.com", identifier_value=f"AB12345{number}C")
    return await identity.authenticate(await identity.login(email=f"ada{number}@example.com"))


async def test_d3_an_export_is_streamed_in_pieces_that_make_one_document(
    identity: IdentityFixture, export: DataExport
) -> None:
    pieces = [piece async for piece in await export.start(await holder(identity), CONTEXT)]
    whole = msgspec.json.decode(b"".join(pieces))
    assert [len(whole["departments"][name]["records"]) for name in ("nhs", "hmrc")] == [120, 120]
    assert whole["account"]["email"] == "ada0@example.com"
    assert whole["events"]["kept_days"] == 90
    assert max(map(len, pieces)) < 500_000


async def test_d3_one_export_of_an_account_at_a_time(
    identity: IdentityFixture, export: DataExport
) -> None:
    principal = await holder(identity)
    stream = await export.start(principal, CONTEXT)
    with pytest.raises(RateExceeded):
        await export.start(principal, CONTEXT)
    # What a client leaves behind that hangs up in the middle.
    await stream.aclose()
    again = await export.start(principal, CONTEXT)
    assert len([piece async for piece in again]) > 3


async def test_d3_a_process_makes_few_exports_at_a_time(
    identity: IdentityFixture, export: DataExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.identity.accounts.data_rights.WAIT_SECONDS", 0.05)
    principals = [await holder(identity, number) for number in range(3)]
    first, second = [await export.start(one, CONTEXT) for one in principals[:2]]
    with pytest.raises(ExportsBusy):
        await export.start(principals[2], CONTEXT)
    await first.aclose()
    third = await export.start(principals[2], CONTEXT)
    await asyncio.gather(second.aclose(), third.aclose())


async def test_d3_a_refused_export_keeps_no_place(
    identity: IdentityFixture, export: DataExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal = await holder(identity)
    monkeypatch.setattr(export, "_max_per_hour", 1)
    await (await export.start(principal, CONTEXT)).aclose()
    with pytest.raises(RateExceeded):
        await export.start(principal, CONTEXT)
    monkeypatch.setattr(export, "_max_per_hour", 0)
    assert await anext(await export.start(principal, CONTEXT))
