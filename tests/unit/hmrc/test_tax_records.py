"""HMRC gets one request of a citizen at a time, however many the citizen sends."""

import asyncio
from datetime import UTC, date, datetime
from typing import cast
from uuid import UUID, uuid4

import pytest

from govid.bus import OperationContext, Principal
from govid.hmrc.clients.interfaces import DataNotFound, TaxRecordClient
from govid.hmrc.consent import ActiveConsentTokens, ConsentTokenProvider
from govid.hmrc.errors import HmrcUnavailable, NoTaxData
from govid.hmrc.repository import ConsentTokens
from govid.hmrc.tax_records import PerAccountLock, TaxRecordReader

CONTEXT = OperationContext(correlation_id="test")
SINCE = date(2024, 4, 6)
DEADLINE_SECONDS = 10


class Hmrc:
    """Lets everybody wait until it speaks, and has no data then."""

    def __init__(self) -> None:
        self.speaks = asyncio.Event()
        self.asked = asyncio.Semaphore(0)
        self.at_once = 0
        self.most = 0

    async def fetch_account(self, *_: object) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.asked.release()
        await self.speaks.wait()
        self.at_once -= 1
        raise DataNotFound


class Open:
    """Has something for everybody that opens their records."""

    async def get(self, *_: object) -> ActiveConsentTokens:
        holding = ConsentTokens(utr="1000057161", access_token="x", refresh_token="y")
        return ActiveConsentTokens(tokens=holding, generation=1)


@pytest.fixture
def hmrc() -> Hmrc:
    return Hmrc()


@pytest.fixture
def reading(hmrc: Hmrc) -> TaxRecordReader:
    return TaxRecordReader(
        cast(TaxRecordClient, hmrc), cast(ConsentTokenProvider, Open()), required_assurance="P1"
    )


def citizen() -> Principal:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Principal(
        account_id=uuid4(),
        session_id=uuid4(),
        email=None,
        identifier_type="NIN",
        identifier_value=None,
        phone_number=None,
        status="active",
        auth_provider="local",
        created_at=now,
        updated_at=now,
        assurance="P1",
    )


async def reads(reading: TaxRecordReader, principal: Principal) -> None:
    with pytest.raises(NoTaxData):
        await reading.read_account(SINCE, principal, CONTEXT)


async def test_what_one_citizen_reads_is_asked_for_one_by_one(
    reading: TaxRecordReader, hmrc: Hmrc
) -> None:
    principal = citizen()
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(reads(reading, principal))
        tasks.create_task(reads(reading, principal))
        tasks.create_task(reads(reading, principal))
        await hmrc.asked.acquire()
        hmrc.speaks.set()
    assert (hmrc.most, hmrc.at_once) == (1, 0)


async def test_no_one_waits_for_another_citizen(reading: TaxRecordReader, hmrc: Hmrc) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(reads(reading, citizen()))
        tasks.create_task(reads(reading, citizen()))
        await hmrc.asked.acquire()
        await hmrc.asked.acquire()
        hmrc.speaks.set()
    assert hmrc.most == 2


async def test_whose_turn_does_not_come_in_time_may_ask_again_later() -> None:
    turns, account_id = PerAccountLock(wait_seconds=0.01), UUID(int=1)
    async with turns.acquire(account_id):
        with pytest.raises(HmrcUnavailable):
            await turns.acquire(account_id).__aenter__()
    async with turns.acquire(account_id):
        pass


async def test_nothing_is_kept_of_who_has_read() -> None:
    turns = PerAccountLock()
    async with turns.acquire(UUID(int=1)):
        assert len(turns._locks) == 1
    assert len(turns._locks) == 0
