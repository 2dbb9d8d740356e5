"""With a simulated NHS, accounts without claimed facts are verified by format only."""

from datetime import date

import pytest

from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.verification import IdentityClaim, VerificationOutcome
from govid.nhs.clients.local import (
    DisabledPatientRegistry,
    FormatOnlyVerifier,
    LocalPatientRegistry,
)

FACTS = ClaimedFacts(given_name="Bill", family_name="Garton", date_of_birth=date(1946, 6, 23))


@pytest.fixture
def registry() -> FormatOnlyVerifier:
    return FormatOnlyVerifier(
        DisabledPatientRegistry(), LocalPatientRegistry(accept_prototype_nhs=True)
    )


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        ("NHS123456789", VerificationOutcome.MATCH),
        ("nhs123456789", VerificationOutcome.MATCH),
        ("943 476 5919", VerificationOutcome.MATCH),
        ("9000000009", VerificationOutcome.DECEASED),
        ("9111231130", VerificationOutcome.MISMATCH),
        ("9727194737", VerificationOutcome.MISMATCH),
        ("9990003343", VerificationOutcome.MISMATCH),
        ("NHS12345678", VerificationOutcome.MISMATCH),
    ],
)
async def test_without_facts_the_form_decides(
    registry: FormatOnlyVerifier, number: str, outcome: VerificationOutcome
) -> None:
    finding = await registry.verify(IdentityClaim(number=number))
    assert finding.outcome is outcome
    assert finding.evidence is not None
    assert finding.evidence.method == "form"


async def test_with_facts_the_registry_is_asked(registry: FormatOnlyVerifier) -> None:
    finding = await registry.verify(IdentityClaim(number="9693632109", facts=FACTS))
    assert finding.outcome is VerificationOutcome.UNAVAILABLE


async def test_the_form_of_the_prototype_is_known_to_no_registry(
    registry: FormatOnlyVerifier,
) -> None:
    finding = await registry.verify(IdentityClaim(number="NHS123456789", facts=FACTS))
    assert finding.outcome is VerificationOutcome.MATCH
