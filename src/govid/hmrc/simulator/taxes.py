"""Simulates the APIs Individual Tax, Income and Employment for a person who consented.

That another person's reference is answered with UNAUTHORIZED, and the order of the checks after the
platform's, is govid's reading of the reference guide; HMRC publishes no more about it.
"""

from http import HTTPStatus

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from govid.bus.shared.identifiers import normalise_utr
from govid.hmrc.simulator.clients import ANNUAL_APIS
from govid.hmrc.simulator.errors import HmrcError, platform_error
from govid.hmrc.simulator.gate import AnyRequest, ApiGateway, requested_scenario, requested_version
from govid.hmrc.simulator.ledger import ANNUAL_SUMMARIES, encode_document
from govid.hmrc.tax_year import TaxYear


class AnnualSummaryApi:
    """Serves the three annual APIs, which differ in their subject only."""

    def __init__(self, gateway: ApiGateway) -> None:
        """Check requests with *gateway*."""
        self._gateway = gateway

    def routes(self) -> list[HTTPRouteHandler]:
        """Return one route for each API."""
        return [self._route(*api) for api in ANNUAL_APIS]

    def _route(self, subject: str, offered: str) -> HTTPRouteHandler:
        @get(f"/individual-{subject}/sa/{{utr:str}}/annual-summary/{{tax_year:str}}")
        async def summary(
            request: AnyRequest, utr: FromPath[str], tax_year: FromPath[str]
        ) -> Response[bytes]:
            try:
                return self._answer(request, subject, offered, utr, tax_year)
            except HmrcError as error:
                return error.response

        return summary

    def _answer(
        self, request: AnyRequest, subject: str, offered: str, utr: str, tax_year: str
    ) -> Response[bytes]:
        requested_version(request, (offered,))
        api = f"individual-{subject}"
        user = self._gateway.authorise_user(request, api, f"read:{api}")
        requested_scenario(request, ())
        year = _checked(utr, tax_year)
        if user.utr != utr:
            raise platform_error("UNAUTHORIZED")
        found = ANNUAL_SUMMARIES.get((subject, utr, year))
        if found is None:
            raise HmrcError(HTTPStatus.NOT_FOUND, "NOT_FOUND", "No data was found")
        return Response(encode_document(found), media_type="application/json")


def _checked(utr: str, tax_year: str) -> TaxYear:
    """Validate the path, the reference first.

    Raises:
        HmrcError: one of the two is malformed.
    """
    if not is_utr(utr):
        raise HmrcError(HTTPStatus.BAD_REQUEST, "SA_UTR_INVALID", "The UTR is not valid")
    try:
        return TaxYear.parse_short(tax_year)
    except ValueError:
        raise HmrcError(
            HTTPStatus.BAD_REQUEST, "TAX_YEAR_INVALID", "The tax year is not valid"
        ) from None


def is_utr(text: str) -> bool:
    """Tell whether *text* is a taxpayer reference in the form that the APIs accept."""
    try:
        return normalise_utr(text) == text
    except ValueError:
        return False
