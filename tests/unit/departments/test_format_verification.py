"""A simulated department verifies claims without facts by the form of their number."""

from datetime import date
from typing import Any

import pytest

from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.verification import IdentityClaim
from govid.hmrc.clients import local as hmrc
from govid.nhs.clients import local as nhs

FACTS = ClaimedFacts(given_name="Bill", family_name="Garton", date_of_birth=date(1946, 6, 23))


async def verify(department: str, number: str, facts: ClaimedFacts | None = None) -> Any:
    """Return what *department* finds, of which only the part that knows forms is available."""
    verifiers: dict[str, Any] = {
        "nhs": nhs.FormatOnlyVerifier(
            nhs.DisabledPatientRegistry(), nhs.LocalPatientRegistry(accept_prototype_nhs=True)
        ),
        "hmrc": hmrc.FormatOnlyVerifier(hmrc.DisabledNinoVerifier(), hmrc.LocalNinoVerifier()),
    }
    claims: dict[str, Any] = {
        "nhs": IdentityClaim(number=number, facts=facts),
        "hmrc": IdentityClaim(number=number, facts=facts),
    }
    return await verifiers[department].verify(claims[department])


@pytest.mark.parametrize(
    ("department", "number", "outcome"),
    [
        ("nhs", "NHS123456789", "match"),
        ("nhs", "nhs123456789", "match"),
        ("nhs", "943 476 5919", "match"),
        ("nhs", "9000000009", "deceased"),
        ("nhs", "9111231130", "mismatch"),
        ("nhs", "9727194737", "mismatch"),
        ("nhs", "9990003343", "mismatch"),
        ("nhs", "NHS12345678", "mismatch"),
        ("hmrc", "AB123456C", "match"),
        ("hmrc", "ab 12 34 56 c", "match"),
        ("hmrc", "AA000003D", "match"),
        ("hmrc", "ST281614D", "mismatch"),
        ("hmrc", "ZX000056A", "deceased"),
        ("hmrc", "QQ123456A", "mismatch"),
        ("hmrc", "AB123456E", "mismatch"),
    ],
)
async def test_without_facts_the_form_decides(department: str, number: str, outcome: str) -> None:
    finding = await verify(department, number)
    assert (finding.outcome, finding.evidence.method) == (outcome, "form")


@pytest.mark.parametrize(
    ("department", "number", "outcome"),
    [
        ("nhs", "9693632109", "unavailable"),
        ("hmrc", "AB123456C", "unavailable"),
        # No registry knows the form of the prototype.
        ("nhs", "NHS123456789", "match"),
    ],
)
async def test_with_facts_the_department_is_asked(
    department: str, number: str, outcome: str
) -> None:
    assert (await verify(department, number, FACTS)).outcome == outcome
