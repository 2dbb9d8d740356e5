"""The remote implementation of `PatientRegistry`: the same results by every transport."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from prometheus_client import CollectorRegistry, generate_latest

from govid.bus import SystemClock
from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.verification import IdentityClaim, VerificationOutcome
from govid.bus.upstream import Department, RequestPolicy, UpstreamMetrics
from govid.nhs.clients.factory import NhsConnection
from govid.nhs.clients.interfaces import PatientRegistry, RegistryFinding
from govid.nhs.clients.oauth import SigningCredentials
from govid.nhs.simulator import NhsSimulator
from tests.departments.nhs.target import Target, reached

Connect = Callable[..., PatientRegistry]

GARTON = ("9693632109", "Bill", "Garton", "1946-06-23")
SMITH = ("9000000009", "Jane", "Smith", "2010-10-22")
QUICK = RequestPolicy(total_seconds=2, first_backoff_seconds=0.001)


def facts(given: str, family: str, born: str, postcode: str | None = None) -> ClaimedFacts:
    return ClaimedFacts(
        given_name=given,
        family_name=family,
        date_of_birth=date.fromisoformat(born),
        postcode=postcode,
    )


def claim(number: str, given: str, family: str, born: str) -> IdentityClaim:
    return IdentityClaim(number=number, facts=facts(given, family, born), correlation_id="a.b")


@pytest.fixture
def counted() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def connect(counted: CollectorRegistry) -> AsyncIterator[Connect]:
    departments: list[Department] = []

    def to(target: Target, policy: RequestPolicy = QUICK, **changes: Any) -> PatientRegistry:
        department = Department(
            "nhs",
            transport=target.transport,
            metrics=UpstreamMetrics(counted),
            refuse_simulators=changes.pop("refuse_simulators", False),
        )
        departments.append(department)
        who = {"client_id": target.client_id, "kid": target.kid, "key": lambda: target.key}
        credentials = SigningCredentials(**{**who, **changes})
        connection = NhsConnection(
            department, target.url, credentials, SystemClock(), policy=policy
        )
        return connection.build_patient_registry()

    yield to
    for department in departments:
        await department.close()


@pytest.fixture
def registry(target: Target, connect: Connect) -> PatientRegistry:
    return connect(target)


@pytest.fixture
def own(simulated: Target, connect: Connect) -> PatientRegistry:
    """Return a registry whose other side is in the test's hands."""
    return connect(simulated)


def outcome_and_name(finding: RegistryFinding) -> tuple[VerificationOutcome, str | None]:
    return finding.outcome, finding.patient.name if finding.patient else None


async def test_who_is_who_they_say_is_matched_with_evidence(registry: PatientRegistry) -> None:
    finding = await registry.verify(claim(*GARTON))
    assert finding.outcome is VerificationOutcome.MATCH
    assert finding.patient is not None
    assert (finding.patient.nhs_number, finding.patient.name) == ("9693632109", "Bill GARTON")
    assert finding.patient.birth_date == date(1946, 6, 23)
    assert finding.evidence is not None
    assert (finding.evidence.method, finding.evidence.strength) == ("pds.read", 2)
    assert UUID(finding.evidence.transaction)
    assert finding.evidence.contra_indicators == ()


@pytest.mark.parametrize(
    ("number", "given", "family", "born"),
    [
        ("969 363 2109", "bill", "GARTON", "1946-06-23"),
        ("9733162043", "Dean", "Killen", "1955-05-27"),
        ("9733162043", "Dean Roger", "Killen", "1955-05-27"),
        ("9990000069", "Zoe", "OBrien Smith", "1990-09-09"),
        ("9990000069", "ZOË MAE", "o'brïen-smith", "1990-09-09"),
    ],
)
async def test_how_a_name_is_written_does_not_matter(
    own: PatientRegistry, number: str, given: str, family: str, born: str
) -> None:
    assert (
        await own.verify(claim(number, given, family, born))
    ).outcome is VerificationOutcome.MATCH


@pytest.mark.parametrize(
    ("number", "given", "family", "born"),
    [
        ("9693632109", "Bill", "Gartner", "1946-06-23"),
        ("9693632109", "William", "Garton", "1946-06-23"),
        ("9693632109", "B", "Garton", "1946-06-23"),
        ("9693632109", "Bill", "Garton", "1946-06-24"),
        ("9733162043", "Roger", "Killen", "1955-05-27"),
        ("9111231130", "Bill", "Garton", "1946-06-23"),
        ("9727194737", "Bill", "Garton", "1946-06-23"),
    ],
)
async def test_who_is_not_is_informed_and_shown_nothing(
    registry: PatientRegistry, number: str, given: str, family: str, born: str
) -> None:
    finding = await registry.verify(claim(number, given, family, born))
    assert outcome_and_name(finding) == (VerificationOutcome.MISMATCH, None)


async def test_an_invalidated_record_matches_no_one(own: PatientRegistry) -> None:
    finding = await own.verify(claim("9990003343", "Record", "Gone", "1950-01-01"))
    assert outcome_and_name(finding) == (VerificationOutcome.MISMATCH, None)


async def test_what_else_the_nhs_says_of_a_person_is_passed_over(own: PatientRegistry) -> None:
    finding = await own.verify(claim("9990000077", "Anna", "Abroad", "1985-03-04"))
    assert finding.outcome is VerificationOutcome.MATCH


@pytest.mark.parametrize("number", ["NHS123456789", "9000000000", "123456789", ""])
async def test_what_the_nhs_cannot_know_is_never_asked(
    own: PatientRegistry, simulator: NhsSimulator, number: str
) -> None:
    finding = await own.verify(claim(number, "Jane", "Smith", "2010-10-22"))
    assert finding.outcome is VerificationOutcome.MISMATCH
    assert simulator.tokens.issued_count == 0


async def test_without_facts_no_one_is_asked(own: PatientRegistry, simulator: NhsSimulator) -> None:
    finding = await own.verify(IdentityClaim(number="9693632109"))
    assert finding.outcome is VerificationOutcome.INSUFFICIENT
    assert simulator.tokens.issued_count == 0


async def test_a_registered_death_is_deceased(registry: PatientRegistry) -> None:
    assert outcome_and_name(await registry.verify(claim(*SMITH))) == (
        VerificationOutcome.DECEASED,
        None,
    )


async def test_a_death_is_not_revealed_to_who_only_knows_the_number(
    registry: PatientRegistry,
) -> None:
    finding = await registry.verify(claim("9000000009", "Joan", "Smith", "2010-10-22"))
    assert finding.outcome is VerificationOutcome.MISMATCH


@pytest.mark.parametrize(
    ("number", "given", "family", "born", "doubts"),
    [
        ("9990000042", "Rita", "Reported", "1950-05-06", ("death-reported",)),
        ("9990000050", "Alan", "Alive", "1950-05-07", ()),
    ],
)
async def test_a_death_that_is_only_reported_decides_nothing(
    own: PatientRegistry, number: str, given: str, family: str, born: str, doubts: tuple[str, ...]
) -> None:
    finding = await own.verify(claim(number, given, family, born))
    assert finding.outcome is VerificationOutcome.MATCH
    assert finding.evidence is not None
    assert finding.evidence.contra_indicators == doubts


@pytest.mark.parametrize(
    ("number", "given", "family", "born", "outcome"),
    [
        ("9000000025", "Janet", "Smythe", "2005-06-16", VerificationOutcome.RESTRICTED),
        ("9000000025", "Somebody", "Else", "2000-01-01", VerificationOutcome.RESTRICTED),
        ("9000000033", "Jane", "Smith", "2010-10-22", VerificationOutcome.INCOMPLETE),
    ],
)
async def test_e3_a_restricted_or_empty_record_shows_nothing_and_is_an_answer(
    registry: PatientRegistry,
    number: str,
    given: str,
    family: str,
    born: str,
    outcome: VerificationOutcome,
) -> None:
    finding = await registry.verify(claim(number, given, family, born))
    assert outcome_and_name(finding) == (outcome, None)
    assert finding.outcome.is_answer


@pytest.mark.parametrize(
    ("number", "given", "family", "born", "outcome"),
    [
        ("9990000026", "Paul", "Partial", "1961-04-05", VerificationOutcome.INCOMPLETE),
        ("9990000026", "Paul", "Partial", "1961-05-05", VerificationOutcome.MISMATCH),
        ("9990000034", "Una", "Unsure", "1961-04-05", VerificationOutcome.INCOMPLETE),
    ],
)
async def test_what_the_nhs_is_not_sure_of_proves_nothing(
    own: PatientRegistry,
    number: str,
    given: str,
    family: str,
    born: str,
    outcome: VerificationOutcome,
) -> None:
    assert (await own.verify(claim(number, given, family, born))).outcome is outcome


async def test_a_superseded_number_is_answered_with_the_new_one(own: PatientRegistry) -> None:
    finding = await own.verify(claim("5900053636", "Nora", "Newman", "1970-01-02"))
    assert finding.outcome is VerificationOutcome.MATCH
    assert finding.patient is not None
    assert finding.patient.nhs_number == "9990000018"


async def test_an_answer_about_another_person_counts_for_nothing(
    own: PatientRegistry, simulator: NhsSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.faults.set_fault("other-person")
    finding = await own.verify(claim(*GARTON))
    assert outcome_and_name(finding) == (VerificationOutcome.UNAVAILABLE, None)
    assert [one.message for one in caplog.records if one.levelno == logging.ERROR] == [
        "department.answered_about_another"
    ]


@pytest.mark.parametrize(
    "fault", ["429", "503", "malformed", "wrong-type", "personal-data", "giant", "timeout"]
)
async def test_a_department_in_trouble_is_unavailable(
    own: PatientRegistry, simulator: NhsSimulator, fault: str
) -> None:
    await own.verify(claim(*GARTON))
    simulator.faults.set_fault(fault)
    assert (await own.verify(claim(*GARTON))).outcome is VerificationOutcome.UNAVAILABLE


@pytest.mark.parametrize("fault", ["reset", "giant", "timeout", "malformed"])
async def test_trouble_on_the_wire_is_unavailable(
    connect: Connect, simulator: NhsSimulator, fault: str
) -> None:
    async with reached("loopback", simulator) as target:
        registry = connect(target)
        await registry.verify(claim(*GARTON))
        simulator.faults.set_fault(fault)
        assert (await registry.verify(claim(*GARTON))).outcome is VerificationOutcome.UNAVAILABLE


async def test_a_slow_department_is_waited_for(connect: Connect, simulator: NhsSimulator) -> None:
    async with reached("loopback", simulator) as target:
        registry = connect(target)
        await registry.verify(claim(*GARTON))
        simulator.faults.set_fault("slow")
        assert (await registry.verify(claim(*GARTON))).outcome is VerificationOutcome.MATCH


async def test_once_it_is_over_the_same_claim_is_answered(
    own: PatientRegistry, simulator: NhsSimulator
) -> None:
    simulator.faults.set_fault("503")
    first = await own.verify(claim(*GARTON))
    simulator.faults.set_fault("")
    second = await own.verify(claim(*GARTON))
    assert (first.outcome, second.outcome) == (
        VerificationOutcome.UNAVAILABLE,
        VerificationOutcome.MATCH,
    )


async def test_fifty_claims_at_once_ask_for_one_token(
    own: PatientRegistry, simulator: NhsSimulator
) -> None:
    findings = await asyncio.gather(*(own.verify(claim(*GARTON)) for _ in range(50)))
    assert {one.outcome for one in findings} == {VerificationOutcome.MATCH}
    assert simulator.tokens.issued_count == 1


async def test_a_token_that_has_ended_is_replaced_unnoticed(
    own: PatientRegistry, simulator: NhsSimulator
) -> None:
    await own.verify(claim(*GARTON))
    simulator.tokens.revoke_all()
    assert (await own.verify(claim(*GARTON))).outcome is VerificationOutcome.MATCH
    assert simulator.tokens.issued_count == 2


async def test_a_token_that_is_never_taken_is_rejected_credentials(
    own: PatientRegistry, simulator: NhsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator.tokens, "is_valid", lambda _: False)
    assert (await own.verify(claim(*GARTON))).outcome is VerificationOutcome.CREDENTIALS_REJECTED
    assert simulator.tokens.issued_count == 2


async def test_a_wrong_key_is_rejected_credentials_and_no_one_asks_again_at_once(
    target: Target, connect: Connect
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    registry = connect(target, key=lambda: pem)
    first = await registry.verify(claim(*GARTON))
    second = await registry.verify(claim(*GARTON))
    assert (first.outcome, second.outcome) == (
        VerificationOutcome.CREDENTIALS_REJECTED,
        VerificationOutcome.UNAVAILABLE,
    )


async def test_where_simulators_are_refused_their_answers_are(
    simulated: Target, connect: Connect
) -> None:
    registry = connect(simulated, refuse_simulators=True)
    assert (await registry.verify(claim(*GARTON))).outcome is VerificationOutcome.UNAVAILABLE


async def test_the_adapter_stays_below_the_limit_of_pds(
    client_key: Any, connect: Connect, counted: CollectorRegistry
) -> None:
    simulator = NhsSimulator(key=client_key)
    async with reached("in process", simulator) as target:
        registry = connect(target, RequestPolicy(per_second=4.5))
        findings = await asyncio.gather(*(registry.verify(claim(*GARTON)) for _ in range(12)))
    assert [one.outcome for one in findings] == [VerificationOutcome.MATCH] * 12
    refused = {"department": "nhs", "operation": "patient.read", "outcome": "rate_limited"}
    assert counted.get_sample_value("govid_department_seconds_count", refused) is None


@pytest.mark.parametrize("fault", ["", "personal-data", "malformed", "other-person", "503"])
async def test_i9_nothing_personal_is_logged_or_counted(
    own: PatientRegistry,
    simulator: NhsSimulator,
    counted: CollectorRegistry,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    await own.verify(claim(*GARTON))
    simulator.faults.set_fault(fault)
    finding = await own.verify(claim(*GARTON))
    reported = "\n".join(
        [
            *(str(one.__dict__) + traceback.format_exc() for one in caplog.records),
            generate_latest(counted).decode(),
            repr(finding),
            repr(claim(*GARTON)),
        ]
    ).lower()
    assert [
        word for word in ("9693632109", "garton", "1946", "canary", "ls1") if word in reported
    ] == []
