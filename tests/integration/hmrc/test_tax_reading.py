"""Tax records as HMRC has them: exact, renewed by one at a time, and never another person's."""

import asyncio
import gc
from collections.abc import AsyncIterator
from datetime import date
from typing import cast
from uuid import UUID

import httpx
import pytest
from msgspec import structs

from govid import hmrc
from govid.bus import Database, Module, OperationContext, Outage, UnitOfWork
from govid.bus.shared.identifiers import ClaimedFacts
from govid.hmrc.clients.interfaces import ConsentClient, GrantedTokens
from govid.hmrc.consent import ConsentTokenProvider
from govid.hmrc.repository import ConsentCipher, ConsentRepository
from govid.hmrc.simulator import HmrcSimulator
from tests.departments.loopback import served
from tests.integration.departments import FixedClock, published, serving, wait_until
from tests.integration.fact_matching import StatedFacts, verify_and_fetch
from tests.integration.hmrc.taxpayer import (
    ACCOUNT,
    OTHER,
    OTHER_UTR,
    SETTINGS,
    YEAR,
    Taxpayer,
    grow_old,
    withdrawn_at_hmrc,
)

CONTEXT = OperationContext(correlation_id="test")
JIM = ClaimedFacts(given_name="Jim", family_name="Ferguson", date_of_birth=date(1948, 4, 23))


def kept(database: Database) -> ConsentRepository:
    """Return the consents, as another replica sees them."""
    singles = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    return ConsentRepository(singles, ConsentCipher(SETTINGS.encryption_key))


async def claim_all(database: Database) -> None:
    """Mark every consent as being renewed, for an hour."""
    await database.reads.execute(
        "UPDATE hmrc.consent SET claimed_until = clock_timestamp() + interval '1 hour'"
    )


@pytest.fixture
def simulators() -> list[HmrcSimulator]:
    """Return where a module puts its simulator."""
    return []


@pytest.fixture
def module(
    database: Database, uow: UnitOfWork, clock: FixedClock, simulators: list[HmrcSimulator]
) -> Module:
    facts = StatedFacts(JIM)
    return hmrc.build(
        SETTINGS, database, uow, clock, facts=facts, configure_simulator=simulators.append
    )


@pytest.fixture
def simulator(module: Module, simulators: list[HmrcSimulator]) -> HmrcSimulator:
    return simulators[0]


@pytest.fixture
async def taxpayer(client: httpx.AsyncClient) -> Taxpayer:
    taxpayer = Taxpayer(client)
    assert (await taxpayer.consent()).status_code == 200
    return taxpayer


async def test_a_year_is_answered_to_the_byte(taxpayer: Taxpayer) -> None:
    answer = await taxpayer.read()
    assert answer.status_code == 200
    assert answer.text == (
        '{"taxYear":"2024-25","employments":['
        '{"employerPayeReference":"123/AB456","employerName":"Acme Ltd","offPayrollWork":false,'
        '"payFromEmployment":22520.65,"taxTakenOffPay":1990.10},'
        '{"employerPayeReference":"456/CD789","employerName":"Globex plc","offPayrollWork":null,'
        '"payFromEmployment":899.00,"taxTakenOffPay":0.00}],'
        '"pensions":{"received":{"otherPensionsAndRetirementAnnuities":1252.75,'
        '"incapacityBenefit":0.00,"jobseekersAllowance":null,"seissNetPaid":null},'
        '"taxTakenOff":{"otherPensionsAndRetirementAnnuities":250.55,"incapacityBenefit":null}},'
        '"refunds":{"taxRefundedOrSetOff":0.00}}'
    )


async def test_what_hmrc_has_no_data_of_is_null_and_not_zero(taxpayer: Taxpayer) -> None:
    answer = await taxpayer.read("/api/hmrc/tax-records/2023-24")
    assert answer.text == (
        '{"taxYear":"2023-24","employments":[],'
        '"pensions":{"received":null,'
        '"taxTakenOff":{"otherPensionsAndRetirementAnnuities":null,"incapacityBenefit":null}},'
        '"refunds":{"taxRefundedOrSetOff":342.92}}'
    )


@pytest.mark.parametrize(("full", "short"), [("2023-2024", "2023-24"), ("2024-2025", "2024-25")])
async def test_d8_a_year_is_read_in_either_form(taxpayer: Taxpayer, full: str, short: str) -> None:
    in_full = await taxpayer.read(f"/api/hmrc/tax-records/{full}")
    in_short = await taxpayer.read(f"/api/hmrc/tax-records/{short}")
    assert (in_full.status_code, in_full.text) == (200, in_short.text)


async def test_a_year_of_which_hmrc_has_nothing_is_not_found(taxpayer: Taxpayer) -> None:
    answer = await taxpayer.read("/api/hmrc/tax-records/2019-20")
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("HMRC has no data")


async def test_an_account_is_answered_to_the_byte(taxpayer: Taxpayer) -> None:
    answer = await taxpayer.read(ACCOUNT)
    assert answer.status_code == 200
    assert answer.text == (
        '{"balance":{"totalOverdue":500.00,"totalPayable":500.00,"totalPending":1500.00,'
        '"total":2500.00,"creditAvailable":0.00,"earliestPayableDueDate":"2026-01-31"},'
        '"charges":[{"chargeId":"AB1234567","chargeType":"ITSA","amount":1250.00,'
        '"outstanding":500.00,"taxYear":"2024-25","dueDate":"2026-01-31"}],'
        '"refunds":[{"amount":355.25,"requested":350.00}],'
        '"payments":[{"amount":500.00,"reference":"PAY123456","paidOn":"2025-04-11"}]}'
    )


@pytest.mark.parametrize("year", ["2024", "2024-2026", "2024-26", "24-25", "x"])
async def test_a_year_that_is_none_is_named_before_anyone_is_asked(
    taxpayer: Taxpayer, simulator: HmrcSimulator, year: str
) -> None:
    simulator.faults.set_fault("503")
    answer = await taxpayer.read(f"/api/hmrc/tax-records/{year}")
    fault = answer.json()["errors"][0]
    assert (answer.status_code, fault["loc"], fault["type"]) == (
        *(422, ["path", "tax_year"], "tax_year_format"),
    )


async def test_what_citizens_file_stays_as_it_was(taxpayer: Taxpayer) -> None:
    assert (await taxpayer.read("/api/hmrc/tax-records")).json() == []


async def test_a_reference_that_is_not_theirs_is_not_shown(
    taxpayer: Taxpayer, simulator: HmrcSimulator, module: Module
) -> None:
    await taxpayer.consent(utr=OTHER_UTR)
    answers = [await taxpayer.read(YEAR), await taxpayer.read(ACCOUNT)]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert OTHER_UTR not in "".join(answer.text for answer in answers)
    # It is one citizen's trouble, and HMRC is well.
    assert module.states["hmrc-taxes"]() == "simulator"
    assert (await taxpayer.status())["status"] == "granted"


async def test_an_access_token_is_renewed_in_time(
    taxpayer: Taxpayer, simulator: HmrcSimulator, database: Database
) -> None:
    issued = simulator.tokens.issued_count
    await taxpayer.read()
    fresh = simulator.tokens.issued_count - issued
    await grow_old(database)
    answers = [await taxpayer.read(), await taxpayer.read()]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (fresh, simulator.tokens.issued_count - issued) == (0, 1)
    assert await database.reads.fetchval("SELECT generation FROM hmrc.consent") == 2


async def test_an_access_token_that_hmrc_refuses_is_renewed_once(
    taxpayer: Taxpayer, simulator: HmrcSimulator
) -> None:
    simulator.tokens.revoke_all()
    issued = simulator.tokens.issued_count
    assert (await taxpayer.read()).status_code == 200
    assert simulator.tokens.issued_count - issued == 1


async def test_a_new_token_that_hmrc_refuses_as_well_is_its_own_trouble(
    taxpayer: Taxpayer,
    simulator: HmrcSimulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(simulator.tokens, "grant", lambda _: None)
    issued = simulator.tokens.issued_count
    assert (await taxpayer.read()).status_code == 503
    assert simulator.tokens.issued_count - issued == 1
    assert "department.new_token_refused" in caplog.messages
    assert (await taxpayer.status())["status"] == "granted"


async def test_of_many_readers_one_renews(
    taxpayer: Taxpayer, simulator: HmrcSimulator, database: Database
) -> None:
    await grow_old(database)
    issued = simulator.tokens.issued_count
    answers = await asyncio.gather(*(taxpayer.read() for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert simulator.tokens.issued_count - issued == 1


@pytest.fixture
async def replicas(
    simulator: HmrcSimulator,
    database: Database,
    uow: UnitOfWork,
    clock: FixedClock,
    account_id: UUID,
) -> AsyncIterator[list[Taxpayer]]:
    """Yield one taxpayer at two replicas, which have an HMRC and a database in common."""
    async with served(simulator.application) as url:
        settings = structs.replace(
            SETTINGS,
            tax_records="remote",
            base_url=url,
            client_id=simulator.client_id,
            client_secret=simulator.client_secret,
        )
        modules = [hmrc.build(settings, database, uow, clock) for _ in range(2)]
        async with (
            serving(modules[0], account_id) as one,
            serving(modules[1], account_id) as other,
        ):
            yield [Taxpayer(one), Taxpayer(other)]
        for module in modules:
            await asyncio.gather(*(stop() for stop in module.stops))


async def test_of_two_replicas_one_renews(
    taxpayer: Taxpayer, replicas: list[Taxpayer], simulator: HmrcSimulator, database: Database
) -> None:
    await grow_old(database)
    issued = simulator.tokens.issued_count
    answers = await asyncio.gather(*(one.read() for one in replicas * 4))
    assert {answer.status_code for answer in answers} == {200}
    assert simulator.tokens.issued_count - issued == 1
    assert (await taxpayer.status())["status"] == "granted"


async def test_a_claim_that_no_one_settles_ends_by_itself(
    taxpayer: Taxpayer, database: Database
) -> None:
    await grow_old(database)
    # Its owner was killed, and it has run out.
    await database.reads.execute("UPDATE hmrc.consent SET claimed_until = clock_timestamp()")
    assert (await taxpayer.read()).status_code == 200


class SlowConsentClient:
    """An HMRC that takes its time, and may then be away."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.is_away = is_away

    async def renew(self, _refresh_token: str, _correlation_id: str | None) -> GrantedTokens:
        self.asked.set()
        await self.may_answer.wait()
        if self.is_away:
            raise Outage("hmrc-taxes")
        return GrantedTokens(access_token="new", refresh_token="newer", life_seconds=14_400)


async def test_what_a_given_up_request_had_renewed_is_kept(
    taxpayer: Taxpayer, database: Database, uow: UnitOfWork, account_id: UUID
) -> None:
    await grow_old(database)
    consent_client = SlowConsentClient()
    openers = ConsentTokenProvider(uow, cast("ConsentClient", consent_client), kept(database))
    reader = asyncio.create_task(openers.get(account_id, CONTEXT))
    await consent_client.asked.wait()
    reader.cancel()
    await asyncio.wait([reader])
    consent_client.may_answer.set()
    opener = await openers.get(account_id, CONTEXT)
    assert reader.cancelled()
    assert (opener.tokens.access_token, opener.generation) == ("new", 2)


async def test_what_fails_for_a_given_up_request_is_given_back_and_complains_to_no_one(
    taxpayer: Taxpayer, database: Database, uow: UnitOfWork, account_id: UUID
) -> None:
    await grow_old(database)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    consent_client = SlowConsentClient(is_away=True)
    reader = asyncio.create_task(
        ConsentTokenProvider(uow, cast("ConsentClient", consent_client), kept(database)).get(
            account_id, CONTEXT
        )
    )
    await consent_client.asked.wait()
    reader.cancel()
    await asyncio.wait([reader])
    consent_client.may_answer.set()
    await wait_until(lambda: kept(database).claim_renewal(account_id, 1))
    gc.collect()
    assert complaints == []


async def test_who_waits_for_a_renewal_that_does_not_come_is_asked_to_come_back(
    taxpayer: Taxpayer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.hmrc.consent.WAIT_SECONDS", 0.2)
    await grow_old(database)
    await claim_all(database)
    assert (await taxpayer.read()).status_code == 503


async def test_a_consent_that_hmrc_no_longer_knows_has_lapsed(
    taxpayer: Taxpayer, simulator: HmrcSimulator, database: Database, account_id: UUID
) -> None:
    await withdrawn_at_hmrc(database, simulator)
    first, second = await taxpayer.read(), await taxpayer.read()
    status = await taxpayer.status()
    assert (first.status_code, second.status_code) == (403, 403)
    assert first.json()["detail"] == "Your consent at HMRC has ended. Please give it again"
    assert status["status"] == "lapsed"
    assert status["lapsedAt"] is not None
    assert await database.reads.fetchval("SELECT sealed FROM hmrc.consent") is None
    assert [kind for kind, _ in await published(database)] == [
        "hmrc.consent.granted",
        "hmrc.consent.lapsed",
    ]


async def test_who_consents_again_after_a_lapse_reads_again(
    taxpayer: Taxpayer, simulator: HmrcSimulator, database: Database
) -> None:
    await withdrawn_at_hmrc(database, simulator)
    await taxpayer.read()
    assert (await taxpayer.consent()).json()["lapsedAt"] is None
    assert (await taxpayer.read()).status_code == 200


async def test_a_consent_that_does_not_reach_far_enough_has_lapsed(
    taxpayer: Taxpayer, simulator: HmrcSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.hmrc.clients.oauth.SCOPES", ("read:individual-tax",))
    await taxpayer.consent()
    assert (await taxpayer.read(ACCOUNT)).status_code == 403
    assert (await taxpayer.status())["status"] == "lapsed"


@pytest.mark.parametrize("fault", ["malformed", "wrong-type", "personal-data"])
async def test_an_hmrc_that_gives_no_answer_is_away_and_takes_nothing_from_anyone(
    taxpayer: Taxpayer, simulator: HmrcSimulator, fault: str
) -> None:
    simulator.faults.set_fault(fault)
    answers = [await taxpayer.read(), await taxpayer.read(ACCOUNT)]
    simulator.faults.set_fault("")
    assert [answer.status_code for answer in answers] == [503, 503]
    assert "Canary" not in "".join(answer.text for answer in answers)
    assert (await taxpayer.status())["status"] == "granted"


async def test_a_renewal_that_fails_on_the_way_can_be_tried_again_at_once(
    taxpayer: Taxpayer, simulator: HmrcSimulator, database: Database
) -> None:
    await grow_old(database)
    simulator.faults.set_fault("503")
    away = await taxpayer.read()
    simulator.faults.set_fault("")
    back = await taxpayer.read()
    assert (away.status_code, back.status_code) == (503, 200)


class PendingRenewal:
    """A renewal that HMRC has not answered yet."""

    def __init__(self, database: Database, uow: UnitOfWork) -> None:
        self.consent_client = SlowConsentClient()
        self.openers = ConsentTokenProvider(
            uow, cast("ConsentClient", self.consent_client), kept(database)
        )

    async def begin(self, account_id: UUID) -> None:
        self.reader = asyncio.create_task(self.openers.get(account_id, CONTEXT))
        await self.consent_client.asked.wait()

    async def give_up(self) -> None:
        self.reader.cancel()
        await asyncio.wait([self.reader])

    async def end(self) -> None:
        """Let HMRC answer, and those that waited go on."""
        self.consent_client.may_answer.set()
        await self.openers.close()
        await self.give_up()


@pytest.fixture
async def renewing(
    taxpayer: Taxpayer, database: Database, uow: UnitOfWork, account_id: UUID
) -> PendingRenewal:
    """Return a renewal in progress of the consent that was given."""
    await grow_old(database)
    renewing = PendingRenewal(database, uow)
    await renewing.begin(account_id)
    return renewing


async def test_what_comes_too_late_does_not_bring_a_withdrawn_consent_back(
    taxpayer: Taxpayer, renewing: PendingRenewal, database: Database, account_id: UUID
) -> None:
    await taxpayer.withdraw()
    await renewing.end()
    assert await kept(database).find(account_id) is None


async def test_what_comes_too_late_does_not_replace_a_new_consent(
    taxpayer: Taxpayer, renewing: PendingRenewal
) -> None:
    await taxpayer.consent()
    await renewing.end()
    assert (await taxpayer.read()).status_code == 200


async def test_what_comes_too_late_does_not_replace_what_was_given_after_a_withdrawal(
    taxpayer: Taxpayer, renewing: PendingRenewal, database: Database, account_id: UUID
) -> None:
    await taxpayer.withdraw()
    await taxpayer.consent(utr=OTHER_UTR, user=OTHER)
    before = await kept(database).find(account_id)
    await renewing.end()
    assert before is not None
    assert await kept(database).find(account_id) == before


async def test_who_is_refused_too_late_ends_no_consent_that_was_given_after_a_withdrawal(
    taxpayer: Taxpayer, database: Database, uow: UnitOfWork, account_id: UUID
) -> None:
    openers = ConsentTokenProvider(uow, cast("ConsentClient", SlowConsentClient()), kept(database))
    old = await openers.get(account_id, CONTEXT)
    await taxpayer.withdraw()
    await taxpayer.consent()
    await openers.expire(account_id, old.generation, CONTEXT)
    assert (await taxpayer.read()).status_code == 200


async def test_what_comes_late_revives_what_a_person_took_for_lapsed_meanwhile(
    taxpayer: Taxpayer, renewing: PendingRenewal, database: Database, account_id: UUID
) -> None:
    # The first to renew was frozen after HMRC had answered; the next request was refused.
    await renewing.openers.expire(account_id, 1, CONTEXT)
    await renewing.end()
    assert (await taxpayer.status())["status"] == "granted"
    assert [kind for kind, _ in await published(database)] == [
        "hmrc.consent.granted",
        "hmrc.consent.lapsed",
        "hmrc.consent.granted",
    ]


async def test_who_stops_waits_for_what_a_given_up_request_has_renewed(
    renewing: PendingRenewal, database: Database, account_id: UUID
) -> None:
    await renewing.give_up()
    closing = asyncio.create_task(renewing.openers.close())
    renewing.consent_client.may_answer.set()
    await closing
    found = await kept(database).find(account_id)
    assert found is not None
    assert found.tokens is not None
    assert (found.tokens.access_token, found.generation) == ("new", 2)


async def test_who_stops_waits_for_a_silent_hmrc_not_for_ever(
    renewing: PendingRenewal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("govid.hmrc.consent.CLOSE_SECONDS", 0)
    await renewing.give_up()
    await renewing.openers.close()
    assert len(asyncio.all_tasks()) == 1


async def test_under_another_key_a_consent_has_to_be_given_again_and_is_left(
    taxpayer: Taxpayer,
    database: Database,
    uow: UnitOfWork,
    clock: FixedClock,
    account_id: UUID,
) -> None:
    before = await database.reads.fetchval("SELECT sealed FROM hmrc.consent")
    other = structs.replace(SETTINGS, encryption_key=b"another key, of 32 bytes or more")
    async with serving(hmrc.build(other, database, uow, clock), account_id) as client:
        answer = await Taxpayer(client).read()
    assert (answer.status_code, answer.json()["detail"]) == (
        *(403, "Your consent at HMRC has ended. Please give it again"),
    )
    assert await database.reads.fetchval("SELECT sealed FROM hmrc.consent") == before
    assert (await taxpayer.read()).status_code == 200


async def test_a_claim_is_one_replicas_alone(
    taxpayer: Taxpayer, database: Database, account_id: UUID
) -> None:
    consents = kept(database)
    first, second = (
        await consents.claim_renewal(account_id, 1),
        await consents.claim_renewal(account_id, 1),
    )
    await consents.release_renewal(account_id, 1)
    third, stale = (
        await consents.claim_renewal(account_id, 1),
        await consents.claim_renewal(account_id, 2),
    )
    assert (first, second, third, stale) == (True, False, True, False)


async def test_while_taxes_are_away_numbers_are_verified(
    taxpayer: Taxpayer,
    simulator: HmrcSimulator,
    module: Module,
    uow: UnitOfWork,
    database: Database,
) -> None:
    simulator.faults.set_fault("personal-data")
    await asyncio.gather(*(taxpayer.read() for _ in range(6)))
    simulator.faults.set_fault("")
    verified = await verify_and_fetch(module, uow, database, "AA000003D")
    assert (module.states["hmrc-taxes"](), module.states["hmrc"]()) == ("down", "simulator")
    assert verified == [(True, None)]
