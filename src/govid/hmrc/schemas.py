"""What clients send and receive, under the contract's names. None of it shows in a repr (I9)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, TypeVar
from uuid import UUID

from msgspec import Meta, Raw, Struct, field

from govid.bus import Invalid, Personal
from govid.hmrc import money, tax_year, utr

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Line = Annotated[str, Meta(min_length=1, max_length=100)]
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

T = TypeVar("T")
R = TypeVar("R")


class _Silent(Struct, frozen=True, kw_only=True):
    """A struct whose repr says nothing about a person."""

    def __repr__(self) -> str:
        """Name the struct only."""
        return f"<{type(self).__name__}>"


class FileTaxRecord(_Silent, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """File a tax record."""

    name: Personal[Name]
    tax_number: Personal[Line] = field(name="taxNumber")
    tax_year: Line = field(name="taxYear")
    tax_amount: Personal[AmountIn] = field(name="taxAmount")

    def __post_init__(self) -> None:
        """Refuse what is no reference, no year or no amount."""
        _checked("taxNumber", "utr_format", utr.normalise, self.tax_number)
        _checked("taxYear", "tax_year_format", tax_year.check, self.tax_year)
        _checked("taxAmount", "amount_format", money.read, self.tax_amount)

    @property
    def utr(self) -> str:
        """Return the unique taxpayer reference in canonical form."""
        return utr.normalise(self.tax_number)

    @property
    def amount(self) -> Decimal:
        """Return the amount, exact."""
        return money.read(self.tax_amount)


class TaxRecordView(_Silent, frozen=True, kw_only=True):
    """A tax record, as its owner sees it."""

    id: UUID
    tax_id: str = field(name="taxId")
    name: Personal[str]
    tax_number: Personal[str] = field(name="taxNumber")
    tax_year: str = field(name="taxYear")
    tax_amount: Personal[AmountOut] = field(name="taxAmount")


def _checked(place: str, kind: str, reader: Callable[[T], R], value: T) -> None:
    try:
        reader(value)
    except ValueError as error:
        raise Invalid.at(place, str(error), kind) from error
