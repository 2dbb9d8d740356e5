"""The remote implementation of `NinoVerifier`: the same results by every API and transport."""

import logging

import pytest
from msgspec import structs

from govid.bus.shared.verification import VerificationOutcome
from govid.hmrc.clients.interfaces import NinoVerifier
from govid.hmrc.settings import MatchingContract
from govid.hmrc.simulator import HmrcSimulator
from tests.departments.hmrc.target import Target, reached
from tests.departments.verification_contracts import HMRC, Connect, HmrcContract
from tests.integration.departments import FixedClock

JIM = ("AA000003D", "Jim", "Ferguson", "1948-04-23")
DORIS = ("ZX000056A", "Doris", "Departed", "1931-02-03")
PDV = HmrcContract("pdv")

claim = HmrcContract.claim


@pytest.fixture(params=HMRC)
def own(request: pytest.FixtureRequest, simulated: Target, connect: Connect) -> NinoVerifier:
    """Return a verifier whose other side is in the test's hands, by each contract."""
    return connect(HmrcContract(request.param), simulated)


@pytest.fixture
def pdv(simulated: Target, connect: Connect) -> NinoVerifier:
    """Return one that asks by PDV."""
    return connect(PDV, simulated)


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
    verifier = connect(HmrcContract(contract), target)
    finding = await verifier.verify(claim("AA000003D", "Jo", "Fern", "1948-04-23"))
    assert finding.outcome is outcome


@pytest.mark.parametrize(
    ("given", "family"), [("Юрий", "Ferguson"), ("Jim", "x" * 36), ("Jim", "李"), (" ", "Smith")]
)
async def test_a_name_that_hmrc_cannot_write_costs_no_attempt(
    own: NinoVerifier, simulator: HmrcSimulator, given: str, family: str
) -> None:
    finding = await own.verify(claim("AA000003D", given, family, "1948-04-23"))
    assert finding.outcome is VerificationOutcome.INSUFFICIENT
    assert simulator.tokens.issued_count == 0


@pytest.mark.parametrize("label", ["text/plain", "application/json"])
async def test_a_death_is_reported_in_text_by_whatever_label(
    pdv: NinoVerifier, simulator: HmrcSimulator, label: str
) -> None:
    simulator.pdv_behaviour.deceased_label = label
    assert (await pdv.verify(claim(*DORIS))).outcome is VerificationOutcome.DECEASED


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


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/individuals/authentication/authenticator/match", VerificationOutcome.MATCH),
        ("/individuals/authentication/match", VerificationOutcome.UNAVAILABLE),
    ],
)
async def test_pdv_can_be_at_another_path_and_where_it_is_not_is_no_answer_about_anyone(
    simulated: Target, connect: Connect, path: str, outcome: VerificationOutcome
) -> None:
    verifier = connect(PDV, simulated, pdv_path=path)
    assert (await verifier.verify(claim(*JIM))).outcome is outcome


async def test_without_the_scope_matching_is_closed_and_the_operator_is_notified(
    simulated: Target, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    verifier = connect(HmrcContract("individuals-2"), simulated, scope="")
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


async def test_more_than_hmrc_allows_is_unavailable(connect: Connect) -> None:
    async with reached("in process", HmrcSimulator(clock=FixedClock())) as target:
        verifier = connect(PDV, target)
        findings = [await verifier.verify(claim(*JIM)) for _ in range(4)]
    assert [one.outcome for one in findings] == [VerificationOutcome.MATCH] * 3 + [
        VerificationOutcome.UNAVAILABLE
    ]
