"""Defines request and response bodies with the contract's names. Reprs show no member (I9)."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeVar
from uuid import UUID

from msgspec import Meta, Raw, Struct, field
from msgspec.structs import force_setattr

from govid.bus import InvalidRequest, Personal
from govid.bus.shared.identifiers import normalise_utr
from govid.bus.shared.plain_text import is_plain_line, replace_control_characters
from govid.bus.shared.privacy import RedactedStruct
from govid.hmrc.tax_values import TaxYear, parse_amount

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Line = Annotated[str, Meta(min_length=1, max_length=100)]
BrowserValue = Annotated[str, Meta(min_length=1, max_length=512, pattern="^[ -~]+$")]
"""An opaque value that a browser returns from HMRC: printable ASCII (RFC 6749, appendix A)."""
AmountIn = Annotated[
    Raw,
    Meta(
        extra_json_schema={
            "description": "Pounds: a number, or a decimal string, with at most two decimals.",
            "extra": {"type": ["number", "string"]},
        }
    ),
]
AmountOut = Annotated[
    Raw,
    Meta(
        extra_json_schema={
            "description": "Pounds, exact, always with two decimals.",
            "extra": {"type": "number"},
        }
    ),
]
AmountOrNull = Annotated[
    Raw,
    Meta(
        extra_json_schema={
            "description": "Pounds, exact, always with two decimals; null where HMRC has no data.",
            "extra": {"type": ["number", "null"]},
        }
    ),
]

T = TypeVar("T")
R = TypeVar("R")


class _Silent(RedactedStruct, frozen=True, kw_only=True):
    """A struct whose repr shows no personal data."""


class FileTaxRecord(_Silent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """File a tax record."""

    name: Personal[Name]
    tax_number: Personal[Line] = field(name="taxNumber")
    tax_year: Annotated[Line, Meta(description="Like `2022-2023` or `2022-23`.")] = field(
        name="taxYear"
    )
    tax_amount: Personal[AmountIn] = field(name="taxAmount")

    def __post_init__(self) -> None:
        """Refuse control characters, and an invalid reference, year or amount."""
        _checked("name", "control_character", _one_line, self.name)
        _checked("taxNumber", "utr_format", normalise_utr, self.tax_number)
        _checked("taxYear", "tax_year_format", TaxYear.parse, self.tax_year)
        _checked("taxAmount", "amount_format", parse_amount, self.tax_amount)

    @property
    def utr(self) -> str:
        """Return the unique taxpayer reference in canonical form."""
        return normalise_utr(self.tax_number)

    @property
    def year(self) -> TaxYear:
        """Return the tax year, in whichever form it was written."""
        return TaxYear.parse(self.tax_year)

    @property
    def amount(self) -> Decimal:
        """Return the exact amount."""
        return parse_amount(self.tax_amount)


class TaxRecordView(_Silent, frozen=True, kw_only=True):
    """A tax record, as its owner sees it."""

    id: UUID
    tax_id: str = field(name="taxId")
    name: Personal[str]
    tax_number: Personal[str] = field(name="taxNumber")
    tax_year: str = field(name="taxYear")
    source: Annotated[
        Literal["self-declared", "registry"],
        Meta(description="Records that you file are self-declared and not confirmed by HMRC."),
    ] = "self-declared"
    tax_amount: Personal[AmountOut] = field(name="taxAmount")

    def __post_init__(self) -> None:
        """Replace control characters that an older release has stored by U+FFFD."""
        force_setattr(self, "name", replace_control_characters(self.name))


class GrantConsent(_Silent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Grant consent with the code and state from HMRC, and the taxpayer reference."""

    code: Personal[BrowserValue]
    state: Personal[BrowserValue]
    utr: Personal[Line]

    def __post_init__(self) -> None:
        """Refuse an invalid reference, and a final line feed, which the pattern accepts."""
        _checked("utr", "utr_format", normalise_utr, self.utr)
        _checked("code", "code_format", _printable, self.code)
        _checked("state", "state_format", _printable, self.state)

    @property
    def reference(self) -> str:
        """Return the unique taxpayer reference in canonical form."""
        return normalise_utr(self.utr)


class ConsentBegunView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """Where to send the citizen's browser, and when the consent request expires."""

    authorisation_url: Personal[str]
    expires_at: datetime


class ConsentView(Struct, frozen=True, kw_only=True, rename="camel"):
    """The status of a consent. `endsAt` is the latest end; it may be withdrawn at HMRC earlier."""

    status: Literal["none", "granted", "lapsed"]
    granted_at: datetime | None = None
    ends_at: datetime | None = None
    lapsed_at: datetime | None = None


class EmploymentView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """An employment in a tax year. Null means that HMRC has no data, which is not zero."""

    employer_paye_reference: Personal[str]
    employer_name: Personal[str | None] = None
    off_payroll_work: bool | None = None
    pay_from_employment: Personal[AmountOrNull]
    tax_taken_off_pay: Personal[AmountOrNull]


class BenefitsView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """Pensions, annuities and benefits received."""

    other_pensions_and_retirement_annuities: Personal[AmountOrNull]
    incapacity_benefit: Personal[AmountOrNull]
    jobseekers_allowance: Personal[AmountOrNull]
    seiss_net_paid: Personal[AmountOrNull]


class BenefitTaxesView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """Tax taken off pensions, annuities and benefits."""

    other_pensions_and_retirement_annuities: Personal[AmountOrNull]
    incapacity_benefit: Personal[AmountOrNull]


class PensionsView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """Pensions, annuities and benefits."""

    received: BenefitsView | None = None
    tax_taken_off: BenefitTaxesView | None = None


class RefundsView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """Tax that was refunded or set off."""

    tax_refunded_or_set_off: Personal[AmountOut]


class TaxSummaryView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """A tax year at HMRC. Null means that HMRC has no data, which is not zero."""

    tax_year: str
    employments: Sequence[EmploymentView] | None = None
    pensions: PensionsView
    refunds: RefundsView | None = None


class BalanceView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """The balance of a Self Assessment account."""

    total_overdue: Personal[AmountOut]
    total_payable: Personal[AmountOut]
    total_pending: Personal[AmountOut]
    total: Personal[AmountOut]
    credit_available: Personal[AmountOut]
    earliest_payable_due_date: date | None = None


class ChargeView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """A charge, and its outstanding amount."""

    charge_id: Personal[str]
    charge_type: str
    amount: Personal[AmountOut]
    outstanding: Personal[AmountOut]
    tax_year: str | None = None
    due_date: date | None = None


class PaidBackView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """A refund, and the amount that was requested."""

    amount: Personal[AmountOrNull]
    requested: Personal[AmountOrNull]


class PaymentView(_Silent, frozen=True, kw_only=True, rename="camel"):
    """A payment."""

    amount: Personal[AmountOut]
    reference: Personal[str | None] = None
    paid_on: date | None = None


class TaxAccountView(_Silent, frozen=True, kw_only=True):
    """A Self Assessment account: its balance, charges, refunds and payments."""

    balance: BalanceView
    charges: Sequence[ChargeView]
    refunds: Sequence[PaidBackView]
    payments: Sequence[PaymentView]


def _one_line(text: str) -> str:
    if not is_plain_line(text):
        raise ValueError("must be one line without control characters or text-direction marks")
    return text


def _printable(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("use only printable ASCII characters")
    return text


def _checked(place: str, kind: str, reader: Callable[[T], R], value: T) -> None:
    try:
        reader(value)
    except ValueError as error:
        raise InvalidRequest.for_field(place, str(error), kind) from error
