"""The remote implementation of `NinoVerifier`: the same results by every API and transport."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry, generate_latest

from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.verification import IdentityClaim, VerificationOutcome
from govid.bus.upstream import Department, RequestPolicy, UpstreamMetrics
from govid.hmrc.clients.factory import build_verifier as connected
from govid.hmrc.clients.interfaces import NinoVerifier
from govid.hmrc.clients.oauth import ClientCredentials
from govid.hmrc.settings import MatchingContract
from govid.hmrc.simulator import HmrcSimulator
from tests.departments.hmrc.api_requests import PDV_PATH
from tests.departments.hmrc.target import Target, reached
from tests.integration.departments import FixedClock

Connect = Callable[..., NinoVerifier]

CONTRACTS: tuple[MatchingContract, ...] = ("pdv", "individuals-2", "individuals-1")
JIM = ("AA000003D", "Jim", "Ferguson", "1948-04-23")
AMANDA = ("NA000799C", "Amanda", "Joseph", "1960-01-15")
DORIS = ("ZX000056A", "Doris", "Departed", "1931-02-03")
QUICK = RequestPolicy(total_seconds=2, first_backoff_seconds=0.001)


def claim(nino: str, given: str, family: str, born: str) -> IdentityClaim:
    facts = ClaimedFacts(
        given_name=given, family_name=family, date_of_birth=date.fromisoformat(born)
    )
    return IdentityClaim(number=nino, facts=facts, correlation_id="a.b")


@pytest.fixture
def counted() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def connect(counted: CollectorRegistry) -> AsyncIterator[Connect]:
    departments: list[Department] = []

    def to(
        target: Target,
        contract: MatchingContract = "pdv",
        policy: RequestPolicy = QUICK,
        **changes: Any,
    ) -> NinoVerifier:
        department = Department(
            "hmrc",
            transport=target.transport,
            metrics=UpstreamMetrics(counted),
            refuse_simulators=changes.pop("refuse_simulators", False),
        )
        departments.append(department)
        path = changes.pop("pdv_path", PDV_PATH)
        who = {
            "client_id": target.client_id,
            "client_secret": lambda: target.client_secret,
            "scope": target.scope,
        }
        credentials = ClientCredentials(**{**who, **changes})
        return connected(
            department, target.url, credentials, contract, pdv_path=path, policy=policy
        )

    yield to
    for department in departments:
        await department.close()


@pytest.fixture(params=CONTRACTS)
def verifier(request: pytest.FixtureRequest, target: Target, connect: Connect) -> NinoVerifier:
    return connect(target, request.param)


@pytest.fixture(params=CONTRACTS)
def own(request: pytest.FixtureRequest, simulated: Target, connect: Connect) -> NinoVerifier:
    """Return a verifier whose other side is in the test's hands, by each contract."""
    return connect(simulated, request.param)


@pytest.fixture
def pdv(simulated: Target, connect: Connect) -> NinoVerifier:
    """Return one that asks by PDV."""
    return connect(simulated, "pdv")


@pytest.mark.parametrize("who", [JIM, AMANDA], ids=["Jim", "Amanda"])
async def test_who_is_who_they_say_is_matched(
    verifier: NinoVerifier, who: tuple[str, str, str, str]
) -> None:
    finding = await verifier.verify(claim(*who))
    assert finding.outcome is VerificationOutcome.MATCH
    assert finding.evidence is not None
    assert finding.evidence.strength == 2
    assert finding.evidence.transaction


@pytest.mark.parametrize(
    ("contract", "method", "validity"),
    [
        ("pdv", "pdv.match", 2),
        ("individuals-2", "individuals.match", 1),
        ("individuals-1", "individuals.match", 1),
    ],
)
async def test_the_evidence_says_how_much_was_compared(
    target: Target, connect: Connect, contract: MatchingContract, method: str, validity: int
) -> None:
    finding = await connect(target, contract).verify(claim(*JIM))
    assert finding.evidence is not None
    assert (finding.evidence.method, finding.evidence.validity) == (method, validity)
    assert UUID(finding.evidence.transaction)


@pytest.mark.parametrize(
    ("nino", "given", "family", "born"),
    [
        ("aa 00 00 03 d", "Jim", "Ferguson", "1948-04-23"),
        ("AA000003D", "Jim Alan", "  Ferguson ", "1948-04-23"),
        ("WW000001A", "Zoë Mae", "O’Brien‐Smith", "1990-09-09"),
        ("WW000002B", "María", "García  Lorca", "1979-12-31"),
    ],
)
async def test_names_are_written_as_hmrc_takes_them(
    own: NinoVerifier, nino: str, given: str, family: str, born: str
) -> None:
    assert (await own.verify(claim(nino, given, family, born))).outcome is VerificationOutcome.MATCH


@pytest.mark.parametrize(
    ("nino", "given", "family", "born"),
    [
        ("AA000003D", "Kim", "Ferguson", "1948-04-23"),
        ("AA000003D", "Jim", "Gerguson", "1948-04-23"),
        ("AA000003D", "Jim", "Ferguson", "1948-04-24"),
        ("AA000004D", "Jim", "Ferguson", "1948-04-23"),
    ],
)
async def test_who_is_not_is_a_mismatch_by_every_contract(
    verifier: NinoVerifier, nino: str, given: str, family: str, born: str
) -> None:
    finding = await verifier.verify(claim(nino, given, family, born))
    assert finding.outcome is VerificationOutcome.MISMATCH
    assert finding.evidence is not None
    assert (finding.evidence.strength, finding.evidence.validity) == (0, 0)


@pytest.mark.parametrize(
    ("contract", "outcome"),
    [
        ("pdv", VerificationOutcome.MISMATCH),
        ("individuals-2", VerificationOutcome.MATCH),
        ("individuals-1", VerificationOutcome.MATCH),
    ],
)
async def test_individuals_matching_looks_at_the_beginning_of_a_name_only(
    target: Target, connect: Connect, contract: MatchingContract, outcome: VerificationOutcome
) -> None:
    finding = await connect(target, contract).verify(claim("AA000003D", "Jo", "Fern", "1948-04-23"))
    assert finding.outcome is outcome


@pytest.mark.parametrize("nino", ["QQ123456A", "QQ123456C", "BC123456", "GB123456A", "NHS", ""])
async def test_what_is_no_number_is_never_asked_about(
    own: NinoVerifier, simulator: HmrcSimulator, nino: str
) -> None:
    finding = await own.verify(claim(nino, "Jim", "Ferguson", "1948-04-23"))
    assert finding.outcome is VerificationOutcome.MISMATCH
    assert simulator.tokens.issued_count == 0


@pytest.mark.parametrize(
    ("given", "family"), [("Юрий", "Ferguson"), ("Jim", "x" * 36), ("Jim", "李"), (" ", "Smith")]
)
async def test_a_name_that_hmrc_cannot_write_costs_no_attempt(
    own: NinoVerifier, simulator: HmrcSimulator, given: str, family: str
) -> None:
    finding = await own.verify(claim("AA000003D", given, family, "1948-04-23"))
    assert finding.outcome is VerificationOutcome.INSUFFICIENT
    assert simulator.tokens.issued_count == 0


async def test_without_facts_no_one_is_asked(own: NinoVerifier, simulator: HmrcSimulator) -> None:
    finding = await own.verify(IdentityClaim(number="AA000003D"))
    assert finding.outcome is VerificationOutcome.INSUFFICIENT
    assert simulator.tokens.issued_count == 0


@pytest.mark.parametrize("label", ["text/plain", "application/json"])
async def test_a_death_is_reported_in_text_by_whatever_label(
    pdv: NinoVerifier, simulator: HmrcSimulator, label: str
) -> None:
    simulator.pdv_behaviour.deceased_label = label
    assert (await pdv.verify(claim(*DORIS))).outcome is VerificationOutcome.DECEASED


async def test_a_death_is_not_revealed_to_who_only_knows_the_number(pdv: NinoVerifier) -> None:
    finding = await pdv.verify(claim("ZX000056A", "Dora", "Departed", "1931-02-03"))
    assert finding.outcome is VerificationOutcome.MISMATCH


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ("CID returned no record", VerificationOutcome.MISMATCH),
        ("DOB does not exist in CID", VerificationOutcome.MISMATCH),
        (["no_match_dob"], VerificationOutcome.MISMATCH),
        ("Internal error: unexpected result from matching", VerificationOutcome.UNAVAILABLE),
        ([], VerificationOutcome.UNAVAILABLE),
        (None, VerificationOutcome.UNAVAILABLE),
        ({"a": 1}, VerificationOutcome.UNAVAILABLE),
    ],
)
async def test_of_the_401s_of_pdv_only_those_about_a_person_are_answers(
    pdv: NinoVerifier, simulator: HmrcSimulator, errors: object, outcome: VerificationOutcome
) -> None:
    simulator.pdv_behaviour.no_match = {"errors": errors}
    finding = await pdv.verify(claim("AA000003D", "No", "Body", "2000-01-01"))
    assert finding.outcome is outcome
    assert simulator.tokens.issued_count == 1


async def test_pdv_need_not_name_the_exchange(pdv: NinoVerifier, simulator: HmrcSimulator) -> None:
    simulator.pdv_behaviour.includes_exchange_id = False
    finding = await pdv.verify(claim(*JIM))
    assert finding.outcome is VerificationOutcome.MATCH
    assert finding.evidence is not None
    assert finding.evidence.transaction is None


async def test_pdv_can_be_at_another_path(simulated: Target, connect: Connect) -> None:
    verifier = connect(simulated, pdv_path="/individuals/authentication/authenticator/match")
    assert (await verifier.verify(claim(*JIM))).outcome is VerificationOutcome.MATCH


async def test_a_path_that_there_is_not_is_no_answer_about_anyone(
    simulated: Target, connect: Connect
) -> None:
    verifier = connect(simulated, pdv_path="/individuals/authentication/match")
    assert (await verifier.verify(claim(*JIM))).outcome is VerificationOutcome.UNAVAILABLE


async def test_an_answer_about_another_person_counts_for_nothing(
    pdv: NinoVerifier, simulator: HmrcSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.faults.set_fault("other-person")
    assert (await pdv.verify(claim(*JIM))).outcome is VerificationOutcome.UNAVAILABLE
    assert [one.message for one in caplog.records if one.levelno == logging.ERROR] == [
        "department.answered_about_another"
    ]


@pytest.mark.parametrize(
    "fault", ["429", "503", "malformed", "wrong-type", "personal-data", "giant", "timeout"]
)
async def test_an_hmrc_in_trouble_is_unavailable(
    own: NinoVerifier, simulator: HmrcSimulator, fault: str
) -> None:
    await own.verify(claim(*JIM))
    simulator.faults.set_fault(fault)
    assert (await own.verify(claim(*JIM))).outcome is VerificationOutcome.UNAVAILABLE


@pytest.mark.parametrize("fault", ["reset", "giant", "timeout", "malformed"])
async def test_trouble_on_the_wire_is_unavailable(
    connect: Connect, simulator: HmrcSimulator, fault: str
) -> None:
    async with reached("loopback", simulator) as target:
        verifier = connect(target)
        await verifier.verify(claim(*JIM))
        simulator.faults.set_fault(fault)
        assert (await verifier.verify(claim(*JIM))).outcome is VerificationOutcome.UNAVAILABLE


async def test_a_slow_hmrc_is_waited_for(connect: Connect, simulator: HmrcSimulator) -> None:
    async with reached("loopback", simulator) as target:
        verifier = connect(target)
        await verifier.verify(claim(*JIM))
        simulator.faults.set_fault("slow")
        assert (await verifier.verify(claim(*JIM))).outcome is VerificationOutcome.MATCH


async def test_a_match_is_sent_once_and_repeated_by_the_bus_alone(
    own: NinoVerifier, simulator: HmrcSimulator, counted: CollectorRegistry
) -> None:
    await own.verify(claim(*JIM))
    simulator.faults.set_fault("503")
    first = await own.verify(claim(*JIM))
    simulator.faults.set_fault("")
    second = await own.verify(claim(*JIM))
    assert (first.outcome, second.outcome) == (
        VerificationOutcome.UNAVAILABLE,
        VerificationOutcome.MATCH,
    )
    reported = generate_latest(counted).decode().splitlines()
    matches = [line for line in reported if "_count" in line and ".match" in line]
    assert sorted(line.rpartition(" ")[2] for line in matches) == ["1.0", "2.0"]


async def test_fifty_claims_at_once_ask_for_one_token(
    own: NinoVerifier, simulator: HmrcSimulator
) -> None:
    findings = await asyncio.gather(*(own.verify(claim(*JIM)) for _ in range(50)))
    assert {one.outcome for one in findings} == {VerificationOutcome.MATCH}
    assert simulator.tokens.issued_count == 1


async def test_a_token_that_has_ended_is_replaced_unnoticed(
    own: NinoVerifier, simulator: HmrcSimulator
) -> None:
    await own.verify(claim(*JIM))
    simulator.tokens.revoke_all()
    assert (await own.verify(claim(*JIM))).outcome is VerificationOutcome.MATCH
    assert simulator.tokens.issued_count == 2


async def test_a_token_that_is_never_taken_is_rejected_credentials(
    own: NinoVerifier, simulator: HmrcSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator.tokens, "grant", lambda _: None)
    assert (await own.verify(claim(*JIM))).outcome is VerificationOutcome.CREDENTIALS_REJECTED
    assert simulator.tokens.issued_count == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": lambda: "wrong"},
        {"client_id": "somebody"},
        {"scope": "read:everything"},
    ],
    ids=["secret", "client", "scope"],
)
async def test_wrong_credentials_are_rejected_and_no_one_asks_again_at_once(
    target: Target, connect: Connect, changes: dict[str, Any]
) -> None:
    verifier = connect(target, **changes)
    first = await verifier.verify(claim(*JIM))
    second = await verifier.verify(claim(*JIM))
    assert (first.outcome, second.outcome) == (
        VerificationOutcome.CREDENTIALS_REJECTED,
        VerificationOutcome.UNAVAILABLE,
    )


async def test_without_the_scope_matching_is_closed_and_the_operator_is_notified(
    simulated: Target, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    verifier = connect(simulated, "individuals-2", scope="")
    assert (await verifier.verify(claim(*JIM))).outcome is VerificationOutcome.CREDENTIALS_REJECTED
    assert [one.message for one in caplog.records if one.levelno == logging.ERROR] == [
        "department.credentials_rejected"
    ]


async def test_an_application_that_is_not_subscribed_is_rejected(
    own: NinoVerifier, simulator: HmrcSimulator
) -> None:
    known = simulator.clients[simulator.client_id]
    simulator.clients[simulator.client_id] = structs.replace(known, subscriptions=frozenset())
    assert (await own.verify(claim(*JIM))).outcome is VerificationOutcome.CREDENTIALS_REJECTED
    assert simulator.tokens.issued_count == 1


async def test_where_simulators_are_refused_their_answers_are(
    simulated: Target, connect: Connect
) -> None:
    verifier = connect(simulated, refuse_simulators=True)
    assert (await verifier.verify(claim(*JIM))).outcome is VerificationOutcome.UNAVAILABLE


async def test_more_than_hmrc_allows_is_unavailable(connect: Connect) -> None:
    async with reached("in process", HmrcSimulator(clock=FixedClock())) as target:
        verifier = connect(target)
        findings = [await verifier.verify(claim(*JIM)) for _ in range(4)]
    assert [one.outcome for one in findings] == [VerificationOutcome.MATCH] * 3 + [
        VerificationOutcome.UNAVAILABLE
    ]


async def test_the_adapter_stays_below_the_limit_of_hmrc(
    connect: Connect, counted: CollectorRegistry
) -> None:
    async with reached("in process", HmrcSimulator()) as target:
        verifier = connect(target, policy=RequestPolicy(per_second=2.7))
        findings = await asyncio.gather(*(verifier.verify(claim(*JIM)) for _ in range(8)))
    assert [one.outcome for one in findings] == [VerificationOutcome.MATCH] * 8
    refused = {"department": "hmrc", "operation": "pdv.match", "outcome": "rate_limited"}
    assert counted.get_sample_value("govid_department_seconds_count", refused) is None


@pytest.mark.parametrize("fault", ["", "personal-data", "malformed", "other-person", "503"])
async def test_i9_nothing_personal_is_logged_or_counted(
    own: NinoVerifier,
    simulator: HmrcSimulator,
    counted: CollectorRegistry,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    await own.verify(claim(*JIM))
    simulator.faults.set_fault(fault)
    finding = await own.verify(claim(*JIM))
    reported = "\n".join(
        [
            *(str(one.__dict__) + traceback.format_exc() for one in caplog.records),
            generate_latest(counted).decode(),
            repr(finding),
            repr(claim(*JIM)),
        ]
    ).lower()
    assert [
        word
        for word in ("aa000003d", "ferguson", "1948-04", "canary", simulator.client_secret)
        if word in reported
    ] == []
