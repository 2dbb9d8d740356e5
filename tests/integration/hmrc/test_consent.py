"""Consent to tax records: its account, its storage, and its end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from msgspec import structs

from govid import hmrc
from govid.bus import BlockedAccounts, Database, Module, OperationContext, UnitOfWork
from govid.bus.events import AccountBlocked, AccountClosed, AccountRestored
from govid.hmrc import DataExportSource
from govid.hmrc.clients.interfaces import GrantedTokens
from govid.hmrc.clients.oauth import RemoteConsentClient
from govid.hmrc.models import Account
from govid.hmrc.repository import ConsentCipher, ConsentRequestRepository
from govid.hmrc.repository.consents import UnreadableConsent
from tests.integration.departments import (
    NOW,
    FixedClock,
    build_delivery,
    find_handler,
    handle,
    published,
    serving,
    wait_for_blocked_session,
    wait_until,
)
from tests.integration.hmrc.taxpayer import CONSENT, IDA_UTR, OTHER, SETTINGS, YEAR, Taxpayer

KEY = SETTINGS.encryption_key
NAME = "hmrc.consents"


@pytest.fixture
def module(database: Database, uow: UnitOfWork, clock: FixedClock) -> Module:
    return hmrc.build(SETTINGS, database, uow, clock)


@pytest.fixture
def taxpayer(client: httpx.AsyncClient) -> Taxpayer:
    return Taxpayer(client)


@pytest.fixture
def other_taxpayer(client: httpx.AsyncClient) -> Taxpayer:
    return Taxpayer(client, X_Account=str(uuid4()))


async def kinds(database: Database) -> list[str]:
    return [kind for kind, _ in await published(database)]


async def left(database: Database) -> int:
    """Return how many consents there are, and how many that are being given."""
    given, begun = (
        await database.reads.fetchval("SELECT count(*) FROM hmrc.consent"),
        await database.reads.fetchval("SELECT count(*) FROM hmrc.consent_request"),
    )
    return int(given + begun)


async def everything(database: Database) -> str:
    """Return the text of all rows of HMRC's module and of all events."""
    tables = ("hmrc.consent", "hmrc.consent_request", "hmrc.account", "bus.event")
    texts = [
        await database.reads.fetchval(f"SELECT string_agg(t::text, ' ') FROM {table} t")  # noqa: S608 - names of ours
        for table in tables
    ]
    return " ".join(text or "" for text in texts)


async def test_what_is_begun_leads_to_hmrcs_page(taxpayer: Taxpayer) -> None:
    begun = await taxpayer.begin()
    url = begun.json()["authorisationUrl"]
    assert begun.status_code == 201
    assert set(begun.json()) == {"authorisationUrl", "expiresAt"}
    assert url.startswith("http://govid.example/dev/hmrc/oauth/authorize?response_type=code&")
    page = await taxpayer.client.get(url)
    assert (page.status_code, "Ida Newton" in page.text) == (200, True)


async def test_who_brings_the_code_back_has_consented(
    taxpayer: Taxpayer, database: Database, account_id: UUID
) -> None:
    before = await taxpayer.status()
    granted = await taxpayer.consent()
    view = granted.json()
    assert before == {"status": "none", "grantedAt": None, "endsAt": None, "lapsedAt": None}
    assert (granted.status_code, view["status"], view["lapsedAt"]) == (200, "granted", None)
    assert view["endsAt"] > view["grantedAt"]
    assert await taxpayer.status() == view
    assert await published(database) == [
        (
            "hmrc.consent.granted",
            {"account_id": str(account_id), "timestamp": "2026-01-05T12:00:00Z"},
        )
    ]


async def test_a_state_belongs_to_the_account_that_began(
    taxpayer: Taxpayer, other_taxpayer: Taxpayer
) -> None:
    # A person is sent to HMRC by another's link, and their browser comes back signed in as itself.
    begun = (await taxpayer.begin()).json()["authorisationUrl"]
    await other_taxpayer.begin()
    answer = await other_taxpayer.hand_over(await other_taxpayer.decide(begun))
    assert answer.status_code == 409
    assert (await other_taxpayer.status())["status"] == "none"
    assert (await taxpayer.status())["status"] == "none"


async def test_a_code_of_another_browser_is_of_no_use(
    taxpayer: Taxpayer, other_taxpayer: Taxpayer
) -> None:
    # A code that was fetched for one proof does not fit the other, even with the right state.
    stolen = await other_taxpayer.decide((await other_taxpayer.begin()).json()["authorisationUrl"])
    own = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    answer = await taxpayer.hand_over({"code": stolen["code"], "state": own["state"]})
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("HMRC does not accept the code")
    assert (await taxpayer.status())["status"] == "none"


async def test_a_state_works_once(taxpayer: Taxpayer) -> None:
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    first, second = await taxpayer.hand_over(brought), await taxpayer.hand_over(brought)
    assert (first.status_code, second.status_code) == (200, 409)


async def test_of_many_who_hand_the_same_over_one_gets_through(taxpayer: Taxpayer) -> None:
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    answers = await asyncio.gather(*(taxpayer.hand_over(brought) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]


@pytest.mark.parametrize("field", ["code", "state"])
@pytest.mark.parametrize(
    "text", ["co\tde", "c\x00", "c\x7f", "cöde", "code\n", "\u202ecode", "1\u0662"]
)
async def test_e6_what_hmrc_never_sends_is_refused_and_the_state_is_good_still(
    taxpayer: Taxpayer, field: str, text: str
) -> None:
    begun = await taxpayer.begin()
    brought = await taxpayer.decide(begun.json()["authorisationUrl"])
    bad = await taxpayer.hand_over({**brought, field: text})
    good = await taxpayer.hand_over(brought)
    assert (bad.status_code, bad.json()["errors"][0]["loc"]) == (422, ["body", field])
    assert good.status_code == 200


async def test_a_state_is_used_up_also_by_a_code_that_is_bad(taxpayer: Taxpayer) -> None:
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    bad = await taxpayer.hand_over({**brought, "code": "x"})
    good = await taxpayer.hand_over(brought)
    assert (bad.status_code, good.status_code) == (409, 409)
    assert good.json()["detail"].startswith("You have not started")


async def test_what_was_begun_last_counts(taxpayer: Taxpayer) -> None:
    first = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    last = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    assert (await taxpayer.hand_over(first)).status_code == 409
    assert (await taxpayer.hand_over(last)).status_code == 200


async def test_what_was_begun_too_long_ago_is_over(taxpayer: Taxpayer, database: Database) -> None:
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    await database.reads.execute("UPDATE hmrc.consent_request SET expires_at = clock_timestamp()")
    assert (await taxpayer.hand_over(brought)).status_code == 409


@pytest.mark.parametrize("utr", ["1234567890", "100005716", "AB123456C"])
async def test_a_reference_that_is_none_is_named_and_nothing_is_used_up(
    taxpayer: Taxpayer, utr: str
) -> None:
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    answer = await taxpayer.hand_over(brought, utr)
    fault = answer.json()["errors"][0]
    assert (answer.status_code, fault["loc"], fault["type"]) == (422, ["body", "utr"], "utr_format")
    assert utr not in answer.text
    assert (await taxpayer.hand_over(brought)).status_code == 200


async def test_nothing_that_opens_or_names_is_stored_in_the_open(
    taxpayer: Taxpayer, database: Database
) -> None:
    begun = (await taxpayer.begin()).json()["authorisationUrl"]
    while_under_way = await everything(database)
    brought = await taxpayer.decide(begun)
    await taxpayer.hand_over(brought)
    afterwards = await everything(database)
    row = await database.reads.fetchrow("SELECT account_id, sealed FROM hmrc.consent")
    holding = ConsentCipher(KEY).decrypt(row["account_id"], b"holding", row["sealed"]).decode()
    assert IDA_UTR in holding
    words = (IDA_UTR, *brought.values(), "access_token", *msgspec.json.decode(holding).values())
    assert [word for word in words if word in while_under_way + afterwards] == []


async def test_what_is_encrypted_for_one_account_is_decrypted_for_no_other(
    taxpayer: Taxpayer, database: Database
) -> None:
    await taxpayer.consent()
    sealed = await database.reads.fetchval("SELECT sealed FROM hmrc.consent")
    with pytest.raises(UnreadableConsent):
        ConsentCipher(KEY).decrypt(uuid4(), b"holding", sealed)


async def test_without_consent_nothing_is_read(taxpayer: Taxpayer) -> None:
    answer = await taxpayer.read()
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith("HMRC only shows your tax records with your consent")


async def test_who_withdraws_has_nothing_left_here(taxpayer: Taxpayer, database: Database) -> None:
    await taxpayer.consent()
    await taxpayer.begin()
    withdrawn = await taxpayer.withdraw()
    assert (withdrawn.status_code, withdrawn.text) == (204, "")
    assert (await taxpayer.status())["status"] == "none"
    assert (await taxpayer.read()).status_code == 403
    left = (
        "SELECT (SELECT count(*) FROM hmrc.consent) + (SELECT count(*) FROM hmrc.consent_request)"
    )
    assert await database.reads.fetchval(left) == 0
    assert await kinds(database) == ["hmrc.consent.granted", "hmrc.consent.withdrawn"]


async def test_withdrawing_nothing_is_done_and_reported_to_no_one(
    taxpayer: Taxpayer, database: Database
) -> None:
    assert (await taxpayer.withdraw()).status_code == 204
    assert await published(database) == []


async def test_who_consents_again_has_the_new_consent(
    taxpayer: Taxpayer, database: Database
) -> None:
    await taxpayer.consent()
    await taxpayer.consent(utr="8000083480", user=OTHER)
    assert await database.reads.fetchval("SELECT count(*) FROM hmrc.consent") == 1
    assert (await taxpayer.read()).json()["employments"][0]["payFromEmployment"] == 4503599627370.97


@pytest.mark.parametrize("ended", [AccountBlocked, AccountClosed])
async def test_an_account_that_ends_keeps_nothing_and_gets_nothing(
    taxpayer: Taxpayer,
    module: Module,
    uow: UnitOfWork,
    database: Database,
    account_id: UUID,
    ended: type[Any],
) -> None:
    await taxpayer.consent()
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    end = build_delivery(ended(account_id=account_id, timestamp=NOW))
    await handle(find_handler(module, NAME), end, uow)
    assert (await taxpayer.status())["status"] == "none"
    assert (await taxpayer.hand_over(brought)).status_code == 409
    assert (await taxpayer.begin()).status_code == 403
    assert await left(database) == 0


async def test_who_is_restored_may_consent_again(
    taxpayer: Taxpayer, module: Module, uow: UnitOfWork, account_id: UUID
) -> None:
    handler = find_handler(module, NAME)
    blocked = build_delivery(AccountBlocked(account_id=account_id, timestamp=NOW))
    await handle(handler, blocked, uow)
    restored = build_delivery(AccountRestored(account_id=account_id, timestamp=NOW))
    await handle(handler, restored, uow)
    assert (await taxpayer.consent()).json()["status"] == "granted"


async def test_a_block_and_a_consent_of_the_same_moment_do_not_miss_each_other(
    taxpayer: Taxpayer, module: Module, uow: UnitOfWork, database: Database, account_id: UUID
) -> None:
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    async with uow.begin(OperationContext(correlation_id="c-1")) as tx:
        await BlockedAccounts(Account.__table__).block(tx, account_id)
        handing_over = asyncio.create_task(taxpayer.hand_over(brought))
        await wait_until(wait_for_blocked_session(database))
    assert (await handing_over).status_code == 403
    assert (await taxpayer.status())["status"] == "none"


async def test_r18_who_is_not_known_well_enough_consents_to_nothing_and_reads_nothing(
    client: httpx.AsyncClient, taxpayer: Taxpayer, account_id: UUID
) -> None:
    await taxpayer.consent()
    less = Taxpayer(client, X_Account=str(account_id), X_Assurance="P0")
    refused = [
        await less.begin(),
        await less.read(),
        await less.hand_over({"code": "c", "state": "s"}),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert {answer.json()["detail"] for answer in refused} == {
        "Tax records require a verified account. Please verify your identity first"
    }
    assert (await less.withdraw()).status_code == 204


async def test_r18_the_level_can_be_raised(
    database: Database, uow: UnitOfWork, clock: FixedClock, account_id: UUID
) -> None:
    settings = structs.replace(SETTINGS, required_assurance="P2")
    async with serving(hmrc.build(settings, database, uow, clock), account_id) as client:
        low, high = Taxpayer(client), Taxpayer(client, X_Assurance="P2")
        assert (await low.begin()).status_code == 403
        assert (await high.begin()).status_code == 201


@pytest.fixture
async def off(
    database: Database, uow: UnitOfWork, clock: FixedClock, account_id: UUID
) -> AsyncIterator[Taxpayer]:
    settings = structs.replace(SETTINGS, tax_records="off")
    async with serving(hmrc.build(settings, database, uow, clock), account_id) as client:
        yield Taxpayer(client)


async def test_where_hmrc_is_not_connected_that_is_said(taxpayer: Taxpayer, off: Taxpayer) -> None:
    await taxpayer.consent()
    assert (await off.begin()).status_code == 503
    assert (await off.hand_over({"code": "c", "state": "s"})).status_code == 503
    assert (await off.read()).status_code == 503
    # What was given before can still be seen and taken back.
    assert (await off.status())["status"] == "granted"
    assert (await off.withdraw()).status_code == 204
    assert (await taxpayer.status())["status"] == "none"


def test_without_a_key_to_keep_them_under_no_consents_are_taken(
    database: Database, uow: UnitOfWork, clock: FixedClock
) -> None:
    with pytest.raises(ValueError, match="GOVID_KEY_ENCRYPTION_KEY"):
        hmrc.build(structs.replace(SETTINGS, encryption_key=b""), database, uow, clock)


async def test_an_export_has_the_reference_and_nothing_that_opens(
    taxpayer: Taxpayer, database: Database, account_id: UUID
) -> None:
    records = DataExportSource(database, KEY)
    before = [page async for page in records.export_consents(account_id)]
    await taxpayer.consent()
    [(held,)] = [page async for page in records.export_consents(account_id)]
    assert before == []
    assert set(held) == {"granted_at", "ends_at", "lapsed_at", "utr"}
    assert (held["utr"], held["lapsed_at"]) == (IDA_UTR, None)


async def test_an_export_under_another_key_has_all_but_the_reference(
    taxpayer: Taxpayer, database: Database, account_id: UUID
) -> None:
    await taxpayer.consent()
    [(held,)] = [
        page async for page in DataExportSource(database, b"another").export_consents(account_id)
    ]
    assert (held["utr"], held["lapsed_at"]) == (None, None)


async def test_what_was_begun_under_another_key_has_to_be_begun_again(
    taxpayer: Taxpayer,
    database: Database,
    uow: UnitOfWork,
    clock: FixedClock,
    account_id: UUID,
) -> None:
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    other = structs.replace(SETTINGS, encryption_key=b"another key, of 32 bytes or more")
    async with serving(hmrc.build(other, database, uow, clock), account_id) as client:
        assert (await Taxpayer(client).hand_over(brought)).status_code == 409


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Let HMRC accept a code only when permitted; return the events "asked" and "permitted"."""
    asked, may_answer = asyncio.Event(), asyncio.Event()
    redeem = RemoteConsentClient.redeem

    async def slowly(*given: Any) -> GrantedTokens:
        asked.set()
        await may_answer.wait()
        return await redeem(*given)

    monkeypatch.setattr(RemoteConsentClient, "redeem", slowly)
    return asked, may_answer


async def test_who_withdraws_while_hmrc_is_asked_has_withdrawn_that_too(
    taxpayer: Taxpayer, database: Database, slow: tuple[asyncio.Event, asyncio.Event]
) -> None:
    asked, may_answer = slow
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    handing_over = asyncio.create_task(taxpayer.hand_over(brought))
    await asked.wait()
    withdrawn = await taxpayer.withdraw()
    may_answer.set()
    assert (withdrawn.status_code, (await handing_over).status_code) == (204, 409)
    assert await left(database) == 0
    assert await published(database) == []


async def test_who_begins_again_while_hmrc_is_asked_has_begun_that(
    taxpayer: Taxpayer, slow: tuple[asyncio.Event, asyncio.Event]
) -> None:
    asked, may_answer = slow
    brought = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    handing_over = asyncio.create_task(taxpayer.hand_over(brought))
    await asked.wait()
    again = await taxpayer.decide((await taxpayer.begin()).json()["authorisationUrl"])
    may_answer.set()
    assert (await handing_over).status_code == 409
    assert (await taxpayer.hand_over(again)).status_code == 200


async def test_what_was_begun_and_never_brought_back_is_deleted(
    taxpayer: Taxpayer, other_taxpayer: Taxpayer, database: Database, account_id: UUID
) -> None:
    await taxpayer.begin()
    await other_taxpayer.begin()
    await database.reads.execute(
        """UPDATE hmrc.consent_request SET expires_at = now() - interval '2 minutes'
           WHERE account_id = $1""",
        account_id,
    )
    singles = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    await ConsentRequestRepository(singles, ConsentCipher(KEY)).delete_expired()
    (other,) = await database.reads.fetch("SELECT account_id FROM hmrc.consent_request")
    assert str(other["account_id"]) == other_taxpayer.headers["X-Account"]


async def test_housekeeping_goes_on_until_it_is_asked_to_stop(
    module: Module, taxpayer: Taxpayer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.hmrc.module.PERIOD_SECONDS", 0)

    async def nothing_is_left() -> bool:
        return await left(database) == 0

    task = asyncio.ensure_future(module.tasks[0]())
    await taxpayer.begin()
    await database.reads.execute(
        "UPDATE hmrc.consent_request SET expires_at = now() - interval '2 minutes'"
    )
    await wait_until(nothing_is_left)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize("path", [CONSENT, YEAR])
async def test_no_one_sees_what_is_anothers(
    taxpayer: Taxpayer, other_taxpayer: Taxpayer, path: str
) -> None:
    await taxpayer.consent()
    answer = await other_taxpayer.read(path)
    assert IDA_UTR not in answer.text
    assert "22520" not in answer.text
    assert (await other_taxpayer.status())["status"] == "none"
