"""Defines the OpenAPI examples of the HMRC routes."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from litestar.openapi.spec import Example

from govid.hmrc.schemas import (
    BalanceView,
    BenefitsView,
    ChargeView,
    ConsentBegunView,
    ConsentView,
    EmploymentView,
    PaidBackView,
    PaymentView,
    PensionsView,
    RefundsView,
    TaxAccountView,
    TaxRecordView,
    TaxSummaryView,
)
from govid.hmrc.tax_values import NO_DATA, format_amount

FILE_TAX_RECORD: dict[str, Any] = {
    "name": "Ida Newton",
    "taxNumber": "1000057161",
    "taxYear": "2022-2023",
    "taxAmount": "1250.50",
}

_TAX_RECORD = TaxRecordView(
    id=UUID("019b8d3c-5ac0-7e1b-9f4e-2d6a8c0b1e43"),
    tax_id="T12345",
    name="Ida Newton",
    tax_number="1000057161",
    tax_year="2022-2023",
    tax_amount=format_amount(Decimal("1250.50")),
)

TAX_RECORD_REQUESTS = [Example(id="tax-record", summary="A tax record", value=FILE_TAX_RECORD)]
TAX_RECORDS = [Example(id="tax-record", summary="A filed tax record", value=_TAX_RECORD)]
TAX_RECORD_LISTS = [Example(id="tax-records", summary="Your tax records", value=[_TAX_RECORD])]

GRANT_CONSENT: dict[str, Any] = {
    "code": "5d2f6a0e9b8c4f71a3d6e2c40b9f8a17",
    "state": "mRk0Zr8J3p1nq5cVxw2sT7yUeLhQdGbKaOf4iN6jXtM",
    "utr": "1000057161",
}
_GRANTED_AT = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
_BEGUN = ConsentBegunView(
    authorisation_url="https://www.tax.service.gov.uk/oauth/authorize?response_type=code"
    "&client_id=govid&scope=read%3Aindividual-tax&state=mRk0Zr8J3p1nq5cVxw2sT7yUeLhQdGbKaOf4iN6jXtM"
    "&redirect_uri=https%3A%2F%2Fservice.example%2Ftax&code_challenge_method=S256"
    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    expires_at=datetime(2026, 1, 5, 14, 40, tzinfo=UTC),
)
_CONSENT = ConsentView(
    status="granted", granted_at=_GRANTED_AT, ends_at=datetime(2027, 7, 7, 14, 30, tzinfo=UTC)
)
_SUMMARY = TaxSummaryView(
    tax_year="2024-25",
    employments=[
        EmploymentView(
            employer_paye_reference="123/AB456",
            employer_name="Acme Ltd",
            off_payroll_work=False,
            pay_from_employment=format_amount(Decimal("22520.65")),
            tax_taken_off_pay=format_amount(Decimal("1990.10")),
        )
    ],
    pensions=PensionsView(
        received=BenefitsView(
            other_pensions_and_retirement_annuities=format_amount(Decimal("1252.75")),
            incapacity_benefit=format_amount(Decimal("0.00")),
            jobseekers_allowance=NO_DATA,
            seiss_net_paid=NO_DATA,
        )
    ),
    refunds=RefundsView(tax_refunded_or_set_off=format_amount(Decimal("0.00"))),
)
_ACCOUNT = TaxAccountView(
    balance=BalanceView(
        total_overdue=format_amount(Decimal(500)),
        total_payable=format_amount(Decimal(500)),
        total_pending=format_amount(Decimal(1500)),
        total=format_amount(Decimal(2500)),
        credit_available=format_amount(Decimal(0)),
        earliest_payable_due_date=date(2026, 1, 31),
    ),
    charges=[
        ChargeView(
            charge_id="AB1234567",
            charge_type="ITSA",
            amount=format_amount(Decimal(1250)),
            outstanding=format_amount(Decimal(500)),
            tax_year="2024-25",
            due_date=date(2026, 1, 31),
        )
    ],
    refunds=[PaidBackView(amount=format_amount(Decimal("355.25")), requested=NO_DATA)],
    payments=[
        PaymentView(
            amount=format_amount(Decimal(500)), reference="PAY123456", paid_on=date(2025, 4, 11)
        )
    ],
)

CONSENT_REQUESTS = [
    Example(id="consent", summary="The code and state from HMRC", value=GRANT_CONSENT)
]
CONSENTS_BEGUN = [Example(id="begun", summary="Where to give consent", value=_BEGUN)]
CONSENTS = [Example(id="granted", summary="A given consent", value=_CONSENT)]
TAX_SUMMARIES = [Example(id="tax-year", summary="A tax year", value=_SUMMARY)]
TAX_ACCOUNTS = [Example(id="tax-account", summary="A Self Assessment account", value=_ACCOUNT)]
