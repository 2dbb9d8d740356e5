"""With a simulated HMRC, accounts without claimed facts are verified by format only."""

from datetime import date

import pytest

from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.verification import IdentityClaim, VerificationOutcome
from govid.hmrc.clients.local import DisabledNinoVerifier, FormatOnlyVerifier, LocalNinoVerifier

FACTS = ClaimedFacts(given_name="Jim", family_name="Ferguson", date_of_birth=date(1948, 4, 23))


@pytest.fixture
def verifier() -> FormatOnlyVerifier:
    return FormatOnlyVerifier(DisabledNinoVerifier(), LocalNinoVerifier())


@pytest.mark.parametrize(
    ("nino", "outcome"),
    [
        ("AB123456C", VerificationOutcome.MATCH),
        ("ab 12 34 56 c", VerificationOutcome.MATCH),
        ("AA000003D", VerificationOutcome.MATCH),
        ("ST281614D", VerificationOutcome.MISMATCH),
        ("ZX000056A", VerificationOutcome.DECEASED),
        ("QQ123456A", VerificationOutcome.MISMATCH),
        ("AB123456E", VerificationOutcome.MISMATCH),
    ],
)
async def test_without_facts_the_form_decides(
    verifier: FormatOnlyVerifier, nino: str, outcome: VerificationOutcome
) -> None:
    finding = await verifier.verify(IdentityClaim(number=nino))
    assert finding.outcome is outcome
    assert finding.evidence is not None
    assert finding.evidence.method == "form"


async def test_with_facts_hmrc_is_asked(verifier: FormatOnlyVerifier) -> None:
    finding = await verifier.verify(IdentityClaim(number="AB123456C", facts=FACTS))
    assert finding.outcome is VerificationOutcome.UNAVAILABLE
