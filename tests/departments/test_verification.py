"""Verification of identity claims: both departments alike, by every contract and in every way."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from govid.bus.upstream import RequestPolicy
from govid.nhs.simulator import ClientKey
from tests.departments.verification_contracts import (
    HMRC,
    PDS,
    Connect,
    ConnectedContract,
    HmrcContract,
    PdsContract,
    VerificationContract,
    in_every_way,
    rows,
)

ALL = (*PDS, *HMRC)
ONE_EACH = ("pds", "pdv")
OWN_WAYS = ("in process", "loopback")
GARTON = ("9693632109", "Bill", "Garton", "1946-06-23")
JIM = ("AA000003D", "Jim", "Ferguson", "1948-04-23")
AMANDA = ("NA000799C", "Amanda", "Joseph", "1960-01-15")
MARIA = ("WW000002B", "María", "García  Lorca", "1979-12-31")
INVALIDATED = ("9990003343", "Record", "Gone", "1950-01-01")
KNOWS_ONLY_A_DEAD_PATIENTS_NUMBER = ("9000000009", "Joan", "Smith", "2010-10-22")
KNOWS_ONLY_A_DEAD_PERSONS_NUMBER = ("ZX000056A", "Dora", "Departed", "1931-02-03")


@pytest.fixture(params=ALL)
def contract(request: pytest.FixtureRequest, client_key: ClientKey) -> VerificationContract:
    contracts = {"pds": PdsContract(client_key), **{name: HmrcContract(name) for name in HMRC}}
    return contracts[request.param]


@pytest.fixture
def way() -> str:
    """Return how the simulator is reached, unless the table of a test says otherwise."""
    return "in process"


@pytest.fixture
def is_limited() -> bool:
    """Return whether the simulator has the department's limit of requests a second."""
    return False


@pytest.fixture
async def connected(
    contract: VerificationContract, way: Any, is_limited: bool, connect: Connect
) -> AsyncIterator[ConnectedContract]:
    simulator = contract.build_simulator(is_limited=is_limited)
    async with contract.reached(way, simulator) as target:
        yield ConnectedContract(contract, simulator, target, connect)


MATCHES = [
    *in_every_way(
        [
            ("pds", GARTON, "pds.read", 2),
            *[("pdv", who, "pdv.match", 2) for who in (JIM, AMANDA)],
            *[(name, who, "individuals.match", 1) for name in HMRC[1:] for who in (JIM, AMANDA)],
        ]
    ),
    # What else the NHS says of her, that she has gone abroad, is passed over.
    ("pds", "in process", ("9990000077", "Anna", "Abroad", "1985-03-04"), "pds.read", 2),
    *[("pdv", way, MARIA, "pdv.match", 2) for way in OWN_WAYS],
    *[(name, way, MARIA, "individuals.match", 1) for name in HMRC[1:] for way in OWN_WAYS],
]


@pytest.mark.parametrize(
    ("contract", "way", "who", "method", "validity"), MATCHES, indirect=["contract"]
)
async def test_who_is_who_they_say_is_matched_and_the_evidence_says_how_much_was_compared(
    connected: ConnectedContract, who: tuple[str, ...], method: str, validity: int
) -> None:
    finding = await connected.verify(*who)
    assert finding.outcome == "match"
    assert (finding.evidence.method, finding.evidence.validity) == (method, validity)
    assert finding.evidence.strength == 2
    assert UUID(finding.evidence.transaction)


@pytest.mark.parametrize(
    ("contract", "who"),
    rows(
        nhs=[
            ("969 363 2109", "bill", "GARTON", "1946-06-23"),
            ("9733162043", "Dean", "Killen", "1955-05-27"),
            ("9733162043", "Dean Roger", "Killen", "1955-05-27"),
            ("9990000069", "Zoe", "OBrien Smith", "1990-09-09"),
            ("9990000069", "ZOË MAE", "o'brïen-smith", "1990-09-09"),
        ],
        hmrc=[
            ("aa 00 00 03 d", "Jim", "Ferguson", "1948-04-23"),
            ("AA000003D", "Jim Alan", "  Ferguson ", "1948-04-23"),
            ("WW000001A", "Zoë Mae", "O’Brien‐Smith", "1990-09-09"),
            MARIA,
        ],
    ),
    indirect=["contract"],
)
async def test_how_a_name_is_written_does_not_matter(
    connected: ConnectedContract, who: tuple[str, ...]
) -> None:
    assert (await connected.verify(*who)).outcome == "match"


MISMATCHES = rows(
    nhs=[
        ("9693632109", "Bill", "Gartner", "1946-06-23"),
        ("9693632109", "William", "Garton", "1946-06-23"),
        ("9693632109", "B", "Garton", "1946-06-23"),
        ("9693632109", "Bill", "Garton", "1946-06-24"),
        ("9733162043", "Roger", "Killen", "1955-05-27"),
        ("9111231130", "Bill", "Garton", "1946-06-23"),
        ("9727194737", "Bill", "Garton", "1946-06-23"),
        KNOWS_ONLY_A_DEAD_PATIENTS_NUMBER,
    ],
    hmrc=[
        ("AA000003D", "Kim", "Ferguson", "1948-04-23"),
        ("AA000003D", "Jim", "Gerguson", "1948-04-23"),
        ("AA000003D", "Jim", "Ferguson", "1948-04-24"),
        ("AA000004D", "Jim", "Ferguson", "1948-04-23"),
    ],
)


@pytest.mark.parametrize(
    ("contract", "way", "who"),
    [
        *in_every_way(MISMATCHES),
        ("pds", "in process", INVALIDATED),
        ("pdv", "in process", KNOWS_ONLY_A_DEAD_PERSONS_NUMBER),
    ],
    indirect=["contract"],
)
async def test_who_is_not_is_a_mismatch_and_shown_nothing(
    connected: ConnectedContract, who: tuple[str, ...]
) -> None:
    finding = await connected.verify(*who)
    assert finding.outcome == "mismatch"
    assert (finding.evidence.strength, finding.evidence.validity) == (0, 0)
    assert getattr(finding, "patient", None) is None


@pytest.mark.parametrize(
    ("contract", "number"),
    rows(
        nhs=["NHS123456789", "9000000000", "123456789", ""],
        hmrc=["QQ123456A", "QQ123456C", "BC123456", "GB123456A", "NHS", ""],
    ),
    indirect=["contract"],
)
async def test_what_is_no_number_is_never_asked_about(
    connected: ConnectedContract, number: str
) -> None:
    finding = await connected.verify(number, "Jane", "Smith", "2010-10-22")
    assert finding.outcome == "mismatch"
    assert connected.simulator.tokens.issued_count == 0


async def test_without_facts_no_one_is_asked(connected: ConnectedContract) -> None:
    finding = await connected.verify(connected.contract.person[0])
    assert finding.outcome == "insufficient"
    assert connected.simulator.tokens.issued_count == 0


@pytest.mark.parametrize("contract", ONE_EACH, indirect=True)
async def test_an_answer_about_another_person_counts_for_nothing(
    connected: ConnectedContract, caplog: pytest.LogCaptureFixture
) -> None:
    connected.simulator.faults.set_fault("other-person")
    finding = await connected.verify()
    assert (finding.outcome, getattr(finding, "patient", None)) == ("unavailable", None)
    assert [one.message for one in caplog.records if one.levelno == logging.ERROR] == [
        "department.answered_about_another"
    ]


TROUBLE = ("429", "503", "malformed", "wrong-type", "personal-data", "giant", "timeout")
ON_THE_WIRE = ("reset", "giant", "timeout", "malformed")


@pytest.mark.parametrize(
    ("contract", "way", "fault", "outcome"),
    [
        *[(name, "in process", fault, "unavailable") for name in ALL for fault in TROUBLE],
        *[(name, "loopback", fault, "unavailable") for name in ONE_EACH for fault in ON_THE_WIRE],
        *[(name, "loopback", "slow", "match") for name in ONE_EACH],
    ],
    indirect=["contract"],
)
async def test_a_department_in_trouble_is_unavailable_and_a_slow_one_is_waited_for(
    connected: ConnectedContract, fault: str, outcome: str
) -> None:
    await connected.verify()
    connected.simulator.faults.set_fault(fault)
    assert (await connected.verify()).outcome == outcome


async def test_a_claim_is_sent_once_and_answered_when_the_bus_repeats_it(
    connected: ConnectedContract, counted: CollectorRegistry
) -> None:
    await connected.verify()
    connected.simulator.faults.set_fault("503")
    first = await connected.verify()
    connected.simulator.faults.set_fault("")
    second = await connected.verify()
    assert (first.outcome, second.outcome) == ("unavailable", "match")
    reported = generate_latest(counted).decode().splitlines()
    sent = [line for line in reported if "_count" in line and "token" not in line]
    assert sorted(line.rpartition(" ")[2] for line in sent) == ["1.0", "2.0"]


async def test_fifty_claims_at_once_ask_for_one_token(connected: ConnectedContract) -> None:
    findings = await asyncio.gather(*(connected.verify() for _ in range(50)))
    assert {one.outcome for one in findings} == {"match"}
    assert connected.simulator.tokens.issued_count == 1


async def test_a_token_that_has_ended_is_replaced_unnoticed(connected: ConnectedContract) -> None:
    await connected.verify()
    connected.simulator.tokens.revoke_all()
    assert (await connected.verify()).outcome == "match"
    assert connected.simulator.tokens.issued_count == 2


async def test_a_token_that_is_never_taken_is_rejected_credentials(
    connected: ConnectedContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, refusal = connected.contract.token_check
    monkeypatch.setattr(connected.simulator.tokens, check, lambda _: refusal)
    assert (await connected.verify()).outcome == "credentials_rejected"
    assert connected.simulator.tokens.issued_count == 2


@pytest.mark.parametrize(
    ("contract", "way", "changes"),
    in_every_way(
        [
            ("pds", {"key": lambda: ClientKey().pem}),
            ("pdv", {"client_secret": lambda: "wrong"}),
            ("pdv", {"client_id": "somebody"}),
            ("pdv", {"scope": "read:everything"}),
        ]
    ),
    indirect=["contract"],
)
async def test_wrong_credentials_are_rejected_and_no_one_asks_again_at_once(
    connected: ConnectedContract, changes: dict[str, Any]
) -> None:
    connected.reconnect(**changes)
    first, second = await connected.verify(), await connected.verify()
    assert (first.outcome, second.outcome) == ("credentials_rejected", "unavailable")


@pytest.mark.parametrize("contract", ONE_EACH, indirect=True)
async def test_where_simulators_are_refused_their_answers_are(connected: ConnectedContract) -> None:
    connected.reconnect(refuse_simulators=True)
    assert (await connected.verify()).outcome == "unavailable"


@pytest.mark.parametrize(
    ("contract", "is_limited", "per_second", "times", "operation"),
    [("pds", True, 4.5, 12, "patient.read"), ("pdv", True, 2.7, 8, "pdv.match")],
    indirect=["contract"],
)
async def test_the_client_stays_below_the_departments_limit(
    connected: ConnectedContract,
    counted: CollectorRegistry,
    per_second: float,
    times: int,
    operation: str,
) -> None:
    connected.reconnect(RequestPolicy(per_second=per_second))
    findings = await asyncio.gather(*(connected.verify() for _ in range(times)))
    assert [one.outcome for one in findings] == ["match"] * times
    department = connected.contract.department
    refused = {"department": department, "operation": operation, "outcome": "rate_limited"}
    assert counted.get_sample_value("govid_department_seconds_count", refused) is None


@pytest.mark.parametrize("fault", ["", "personal-data", "malformed", "other-person", "503"])
async def test_i9_nothing_personal_is_logged_or_counted(
    connected: ConnectedContract,
    counted: CollectorRegistry,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    await connected.verify()
    connected.simulator.faults.set_fault(fault)
    finding = await connected.verify()
    reported = "\n".join(
        [
            *(str(one.__dict__) + traceback.format_exc() for one in caplog.records),
            generate_latest(counted).decode(),
            repr(finding),
            repr(connected.contract.claim(*connected.contract.person)),
        ]
    ).lower()
    assert [word for word in (*connected.contract.personal, "canary") if word in reported] == []
