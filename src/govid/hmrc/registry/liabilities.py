"""Client of HMRC's view of a Self Assessment account: liabilities, payments and refunds.

Source: hmrc/self-assessment-liability-api 0.3.0.
"""

from datetime import date

from govid.bus.upstream import UpstreamClient, UpstreamRequest
from govid.hmrc.registry.annual import authorisation_headers
from govid.hmrc.registry.pounds import decode_exact_amounts
from govid.hmrc.registry.tax_refusals import tax_error
from govid.hmrc.registry.taxes import SelfAssessmentAccount, TaxRecordRequest

_BASE_PATH = "/individuals/self-assessment/breakdown"
_MEDIA_TYPE = "application/vnd.hmrc.1.0+json"


class LiabilitiesClient:
    """Client of the API "View Self Assessment Account"."""

    def __init__(self, api: UpstreamClient) -> None:
        """Call *api*."""
        self._api = api

    async def fetch_account(self, request: TaxRecordRequest, since: date) -> SelfAssessmentAccount:
        """Return the account with its entries since *since*."""
        answer = await self._api.request(
            UpstreamRequest(
                operation="account.read",
                method="GET",
                route=f"{_BASE_PATH}/{{utr}}",
                path=f"{_BASE_PATH}/{request.utr}",
                query=(("fromDate", since.isoformat()),),
                headers=authorisation_headers(request, _MEDIA_TYPE),
                accepts=("application/json", _MEDIA_TYPE),
                repeatable=True,
                correlation_id=request.correlation_id,
            )
        )
        if not answer.is_success:
            raise tax_error(self._api, answer)
        account: SelfAssessmentAccount = decode_exact_amounts(answer, SelfAssessmentAccount)
        return account
