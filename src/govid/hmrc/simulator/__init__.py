"""Simulates HMRC: an ASGI application with the wire format of HMRC's own APIs.

Sources: hmrc/api-documentation-frontend (tokens, errors, annual summaries),
hmrc/individuals-matching-api, hmrc/self-assessment-liability-api. HMRC publishes nothing about
PDV; its source is its client govuk-one-login/ipv-cri-check-hmrc-api. Not inside: the clients of
these APIs, which know the simulator by HTTP only.
"""

from govid.hmrc.simulator.app import BASE_URL, HmrcSimulator
from govid.hmrc.simulator.applications import SCOPE

__all__ = ["BASE_URL", "SCOPE", "HmrcSimulator"]
