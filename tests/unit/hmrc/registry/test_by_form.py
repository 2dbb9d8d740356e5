"""Where HMRC is simulated, who says nothing of themselves is verified by form."""

from datetime import date

import pytest

from govid.bus.contracts.facts import ClaimedFacts
from govid.hmrc.registry.local import ByFormWithoutFacts, LocalNinoVerifier
from govid.hmrc.registry.off import OffNinoVerifier
from govid.hmrc.registry.protocol import Claim, Outcome

FACTS = ClaimedFacts(given_name="Jim", family_name="Ferguson", date_of_birth=date(1948, 4, 23))


@pytest.fixture
def verifier() -> ByFormWithoutFacts:
    return ByFormWithoutFacts(OffNinoVerifier(), LocalNinoVerifier())


@pytest.mark.parametrize(
    ("nino", "outcome"),
    [
        ("AB123456C", Outcome.MATCH),
        ("ab 12 34 56 c", Outcome.MATCH),
        ("AA000003D", Outcome.MATCH),
        ("ST281614D", Outcome.MISMATCH),
        ("ZX000056A", Outcome.DECEASED),
        ("QQ123456A", Outcome.MISMATCH),
        ("AB123456E", Outcome.MISMATCH),
    ],
)
async def test_without_facts_the_form_decides(
    verifier: ByFormWithoutFacts, nino: str, outcome: Outcome
) -> None:
    finding = await verifier.verify(Claim(nino=nino))
    assert finding.outcome is outcome
    assert finding.evidence is not None
    assert finding.evidence.method == "form"


async def test_with_facts_hmrc_is_asked(verifier: ByFormWithoutFacts) -> None:
    finding = await verifier.verify(Claim(nino="AB123456C", facts=FACTS))
    assert finding.outcome is Outcome.UNAVAILABLE
