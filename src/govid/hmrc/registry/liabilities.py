"""Client of HMRC's view of a Self Assessment account: liabilities, payments and refunds.

Source: hmrc/self-assessment-liability-api 0.3.0.
"""

from datetime import date

from govid.bus.upstream import Api, Call
from govid.hmrc.registry.annual import authorised
from govid.hmrc.registry.pounds import decoded
from govid.hmrc.registry.tax_refusals import refusal
from govid.hmrc.registry.taxes import Account, Reading

_BASE_PATH = "/individuals/self-assessment/breakdown"
_MEDIA_TYPE = "application/vnd.hmrc.1.0+json"


class Liabilities:
    """Client of the API "View Self Assessment Account"."""

    def __init__(self, api: Api) -> None:
        """Call *api*."""
        self._api = api

    async def of(self, reading: Reading, since: date) -> Account:
        """Return the account with its entries since *since*."""
        answer = await self._api.send(
            Call(
                operation="account.read",
                method="GET",
                route=f"{_BASE_PATH}/{{utr}}",
                path=f"{_BASE_PATH}/{reading.utr}",
                query=(("fromDate", since.isoformat()),),
                headers=authorised(reading, _MEDIA_TYPE),
                accepts=("application/json", _MEDIA_TYPE),
                repeatable=True,
                correlation_id=reading.correlation_id,
            )
        )
        if not answer.is_success:
            raise refusal(self._api, answer)
        account: Account = decoded(answer, Account)
        return account
