"""Simulates HMRC's tax APIs for a person who consented, with synthetic data of its test users.

HMRC does not document two details: the answer to another person's reference, and the order of the
checks after those of the platform. As govid reads the reference guide, the answer is UNAUTHORIZED,
and the order is that of the guide. The API "View Self Assessment Account" has its own error format.

Source: HMRC Developer Hub, reference guide; hmrc/self-assessment-liability-api 0.3.0.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from govid.bus.shared.identifiers import normalise_utr
from govid.hmrc.simulator.api_gateway import (
    AnyRequest,
    ApiGateway,
    requested_scenario,
    requested_version,
)
from govid.hmrc.simulator.applications import ANNUAL_APIS, SELF_ASSESSMENT
from govid.hmrc.simulator.errors import HmrcError, json_response, platform_error
from govid.hmrc.tax_values import TaxYear

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_IDA = "1000057161"
_SECOND = "8000083480"
_BENEFITS = "pensionsAnnuitiesAndOtherStateBenefits"

Document = Mapping[str, Any]

ANNUAL_SUMMARIES: Mapping[tuple[str, str, TaxYear], Document] = {
    ("tax", _IDA, TaxYear(2024)): {
        "employments": [
            {"employerPayeReference": "123/AB456", "taxTakenOffPay": Decimal("1990.10")},
            {"employerPayeReference": "456/CD789", "taxTakenOffPay": Decimal("0.00")},
        ],
        _BENEFITS: {"otherPensionsAndRetirementAnnuities": Decimal("250.55")},
        "refunds": {"taxRefundedOrSetOff": Decimal("0.00")},
    },
    ("income", _IDA, TaxYear(2024)): {
        "employments": [
            {"employerPayeReference": "123/AB456", "payFromEmployment": Decimal("22520.65")},
            {"employerPayeReference": "456/CD789", "payFromEmployment": Decimal("899.00")},
        ],
        _BENEFITS: {
            "otherPensionsAndRetirementAnnuities": Decimal("1252.75"),
            "incapacityBenefit": Decimal("0.00"),
        },
    },
    ("employment", _IDA, TaxYear(2024)): {
        "employments": [
            {
                "employerPayeReference": "123/AB456",
                "employerName": "Acme Ltd",
                "offPayrollWorkFlag": False,
            },
            {"employerPayeReference": "456/CD789", "employerName": "Globex plc"},
        ]
    },
    # A year of which one API has data, and the others have none.
    ("tax", _IDA, TaxYear(2023)): {
        "employments": [],
        _BENEFITS: {},
        "refunds": {"taxRefundedOrSetOff": Decimal("342.92")},
    },
    ("income", _SECOND, TaxYear(2024)): {
        "employments": [
            {"employerPayeReference": "789/EF012", "payFromEmployment": Decimal("4503599627370.97")}
        ],
        _BENEFITS: {},
    },
}
"""Annual summaries by API, reference and year."""

ACCOUNTS: Mapping[str, Document] = {
    _IDA: {
        "balanceDetails": {
            "totalOverdueBalance": Decimal(500),
            "totalPayableBalance": Decimal(500),
            "earliestPayableDueDate": "2026-01-31",
            "totalPendingBalance": Decimal(1500),
            "totalBalance": Decimal(2500),
            "totalCreditAvailable": Decimal(0),
        },
        "chargeDetails": [
            {
                "chargeId": "AB1234567",
                "creationDate": "2025-01-15",
                "chargeType": "ITSA",
                "chargeAmount": Decimal(1250),
                "outstandingAmount": Decimal(500),
                "taxYear": "2024-2025",
                "dueDate": "2026-01-31",
                "amendments": [
                    {
                        "amendmentDate": "2025-04-15",
                        "amendmentAmount": Decimal(500),
                        "amendmentReason": "Payment",
                        "isPaymentRelated": True,
                        "paymentMethod": "bank_transfer",
                        "paymentDate": "2025-04-10",
                    }
                ],
            }
        ],
        "refundDetails": [
            {"totalRefundAmount": Decimal("355.25"), "refundRequestAmount": Decimal(350)}
        ],
        "paymentHistoryDetails": [
            {
                "paymentAmount": Decimal(500),
                "paymentReference": "PAY123456",
                "paymentDate": "2025-04-11",
            }
        ],
    }
}
"""Self Assessment accounts by reference."""


def encode_document(document: Document) -> bytes:
    """Encode *document* as JSON, with amounts as exact numbers."""
    return _ENCODER.encode(document)


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
                return self._respond(request, subject, offered, utr, tax_year)
            except HmrcError as error:
                return error.response

        return summary

    def _respond(
        self, request: AnyRequest, subject: str, offered: str, utr: str, tax_year: str
    ) -> Response[bytes]:
        requested_version(request, (offered,))
        api = f"individual-{subject}"
        user = self._gateway.authorise_user(request, api, f"read:{api}")
        requested_scenario(request, ())
        year = _validate_path(utr, tax_year)
        if user.utr != utr:
            raise platform_error("UNAUTHORIZED")
        found = ANNUAL_SUMMARIES.get((subject, utr, year))
        if found is None:
            raise HmrcError(HTTPStatus.NOT_FOUND, "NOT_FOUND", "No data was found")
        return Response(encode_document(found), media_type="application/json")


def _validate_path(utr: str, tax_year: str) -> TaxYear:
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


LIABILITIES_PREFIX = "/individuals/self-assessment/"
LIABILITIES_SCOPE = "read:self-assessment"
LIABILITIES_VERSIONS = ("1.0",)

FAILURES: Mapping[str, tuple[HTTPStatus, str]] = {
    "BAD_REQUEST": (HTTPStatus.BAD_REQUEST, "Invalid request format or parameters"),
    "UNAUTHORISED": (HTTPStatus.UNAUTHORIZED, "Bearer token is missing or not authorised"),
    "FORBIDDEN": (HTTPStatus.FORBIDDEN, "Access to the requested resource is forbidden"),
    "NOT_FOUND": (HTTPStatus.NOT_FOUND, "No data found for the UTR provided."),
    "INTERNAL_SERVER_ERROR": (HTTPStatus.INTERNAL_SERVER_ERROR, "Unexpected error"),
    "SERVICE_UNAVAILABLE": (HTTPStatus.SERVICE_UNAVAILABLE, "Service unavailable"),
}


class LiabilitiesError(Exception):
    """An error response in the API's own format."""

    def __init__(self, kind: str) -> None:
        """Respond with the error *kind*."""
        self.status, self.reason = FAILURES[kind]
        self.content = {"failure": {"type": kind, "reason": self.reason}}
        super().__init__(kind)


class LiabilitiesApi:
    """Serves the Self Assessment account of the person who consented."""

    def __init__(self, gateway: ApiGateway) -> None:
        """Check requests with *gateway*."""
        self._gateway = gateway

    def route(self) -> HTTPRouteHandler:
        """Return the one route."""

        @get(f"{LIABILITIES_PREFIX}breakdown/{{utr:str}}")
        async def breakdown(request: AnyRequest, utr: FromPath[str]) -> Response[bytes]:
            try:
                return self._respond(request, utr)
            except HmrcError as error:
                return error.response
            except LiabilitiesError as failure:
                return json_response(failure.content, failure.status)

        return breakdown

    def _respond(self, request: AnyRequest, utr: str) -> Response[bytes]:
        requested_version(request, LIABILITIES_VERSIONS)
        user = self._gateway.authorise_user(request, SELF_ASSESSMENT, LIABILITIES_SCOPE)
        requested = requested_scenario(request, tuple(FAILURES))
        if requested is not None:
            raise LiabilitiesError(requested)
        if not is_utr(utr) or not _is_day(request.query_params.get("fromDate")):
            raise LiabilitiesError("BAD_REQUEST")
        if user.utr != utr:
            raise LiabilitiesError("FORBIDDEN")
        if utr not in ACCOUNTS:
            raise LiabilitiesError("NOT_FOUND")
        return Response(encode_document(ACCOUNTS[utr]), media_type="application/json")


def unavailable_body() -> bytes:
    """Return the body of a 503 of this API."""
    return msgspec.json.encode(LiabilitiesError("SERVICE_UNAVAILABLE").content)


def _is_day(text: str | None) -> bool:
    """Tell whether *text* is a day; None is allowed."""
    try:
        return text is None or date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
