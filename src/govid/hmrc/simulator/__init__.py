"""HMRC, simulated: an application that speaks as HMRC's own interfaces do.

Sources: hmrc/api-documentation-frontend (tokens, errors, annual summaries),
hmrc/individuals-matching-api, hmrc/self-assessment-liability-api, and for the PDV match, of which
HMRC publishes nothing, its client govuk-one-login/ipv-cri-check-hmrc-api.
"""

from govid.hmrc.simulator.app import BASE_URL, HmrcSimulator
from govid.hmrc.simulator.clients import SCOPE

__all__ = ["BASE_URL", "SCOPE", "HmrcSimulator"]
