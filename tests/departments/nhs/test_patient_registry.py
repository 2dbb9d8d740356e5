"""The remote implementation of `PatientRegistry`: the same results by every transport."""

from datetime import date

import pytest

from govid.bus.shared.verification import VerificationOutcome
from govid.nhs.clients.interfaces import PatientRegistry, RegistryFinding
from govid.nhs.simulator import ClientKey
from tests.departments.nhs.target import Target
from tests.departments.verification_contracts import Connect, PdsContract

GARTON = ("9693632109", "Bill", "Garton", "1946-06-23")

claim = PdsContract.claim


@pytest.fixture
def registry(target: Target, connect: Connect, client_key: ClientKey) -> PatientRegistry:
    return connect(PdsContract(client_key), target)


@pytest.fixture
def own(simulated: Target, connect: Connect, client_key: ClientKey) -> PatientRegistry:
    """Return a registry whose other side is in the test's hands."""
    return connect(PdsContract(client_key), simulated)


def outcome_and_name(finding: RegistryFinding) -> tuple[VerificationOutcome, str | None]:
    return finding.outcome, finding.patient.name if finding.patient else None


async def test_who_is_who_they_say_is_named_without_a_doubt(registry: PatientRegistry) -> None:
    finding = await registry.verify(claim(*GARTON))
    assert finding.patient is not None
    assert (finding.patient.nhs_number, finding.patient.name) == ("9693632109", "Bill GARTON")
    assert finding.patient.birth_date == date(1946, 6, 23)
    assert finding.evidence is not None
    assert finding.evidence.contra_indicators == ()


@pytest.mark.parametrize(
    ("who", "doubts"),
    [
        (("9990000042", "Rita", "Reported", "1950-05-06"), ("death-reported",)),
        (("9990000050", "Alan", "Alive", "1950-05-07"), ()),
    ],
)
async def test_a_death_that_is_only_reported_decides_nothing(
    own: PatientRegistry, who: tuple[str, ...], doubts: tuple[str, ...]
) -> None:
    finding = await own.verify(claim(*who))
    assert finding.outcome is VerificationOutcome.MATCH
    assert finding.evidence is not None
    assert finding.evidence.contra_indicators == doubts


@pytest.mark.parametrize(
    ("who", "outcome"),
    [
        (("9000000009", "Jane", "Smith", "2010-10-22"), VerificationOutcome.DECEASED),
        (("9000000025", "Janet", "Smythe", "2005-06-16"), VerificationOutcome.RESTRICTED),
        (("9000000025", "Somebody", "Else", "2000-01-01"), VerificationOutcome.RESTRICTED),
        (("9000000033", "Jane", "Smith", "2010-10-22"), VerificationOutcome.INCOMPLETE),
    ],
)
async def test_e3_a_dead_restricted_or_empty_record_shows_nothing_and_is_an_answer(
    registry: PatientRegistry, who: tuple[str, ...], outcome: VerificationOutcome
) -> None:
    finding = await registry.verify(claim(*who))
    assert outcome_and_name(finding) == (outcome, None)
    assert finding.outcome.is_answer


@pytest.mark.parametrize(
    ("who", "outcome"),
    [
        (("9990000026", "Paul", "Partial", "1961-04-05"), VerificationOutcome.INCOMPLETE),
        (("9990000026", "Paul", "Partial", "1961-05-05"), VerificationOutcome.MISMATCH),
        (("9990000034", "Una", "Unsure", "1961-04-05"), VerificationOutcome.INCOMPLETE),
    ],
)
async def test_what_the_nhs_is_not_sure_of_proves_nothing(
    own: PatientRegistry, who: tuple[str, ...], outcome: VerificationOutcome
) -> None:
    assert (await own.verify(claim(*who))).outcome is outcome


async def test_a_superseded_number_is_answered_with_the_new_one(own: PatientRegistry) -> None:
    finding = await own.verify(claim("5900053636", "Nora", "Newman", "1970-01-02"))
    assert finding.outcome is VerificationOutcome.MATCH
    assert finding.patient is not None
    assert finding.patient.nhs_number == "9990000018"
