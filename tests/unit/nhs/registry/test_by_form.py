"""Where the NHS is simulated, who says nothing of themselves is verified by form."""

from datetime import date

import pytest

from govid.bus.contracts.facts import ClaimedFacts
from govid.nhs.registry.local import ByFormWithoutFacts, LocalPatientRegistry
from govid.nhs.registry.off import OffPatientRegistry
from govid.nhs.registry.protocol import Claim, Outcome

FACTS = ClaimedFacts(given_name="Bill", family_name="Garton", date_of_birth=date(1946, 6, 23))


@pytest.fixture
def registry() -> ByFormWithoutFacts:
    return ByFormWithoutFacts(OffPatientRegistry(), LocalPatientRegistry(prototype_form=True))


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        ("NHS123456789", Outcome.MATCH),
        ("nhs123456789", Outcome.MATCH),
        ("943 476 5919", Outcome.MATCH),
        ("9000000009", Outcome.DECEASED),
        ("9111231130", Outcome.MISMATCH),
        ("9727194737", Outcome.MISMATCH),
        ("9990003343", Outcome.MISMATCH),
        ("NHS12345678", Outcome.MISMATCH),
    ],
)
async def test_without_facts_the_form_decides(
    registry: ByFormWithoutFacts, number: str, outcome: Outcome
) -> None:
    finding = await registry.verify(Claim(nhs_number=number))
    assert finding.outcome is outcome
    assert finding.evidence is not None
    assert finding.evidence.method == "form"


async def test_with_facts_the_registry_is_asked(registry: ByFormWithoutFacts) -> None:
    finding = await registry.verify(Claim(nhs_number="9693632109", facts=FACTS))
    assert finding.outcome is Outcome.UNAVAILABLE


async def test_the_form_of_the_prototype_is_known_to_no_registry(
    registry: ByFormWithoutFacts,
) -> None:
    finding = await registry.verify(Claim(nhs_number="NHS123456789", facts=FACTS))
    assert finding.outcome is Outcome.MATCH
