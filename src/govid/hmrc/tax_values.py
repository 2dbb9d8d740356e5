"""Defines tax years in their two written forms, and exact amounts of money in JSON."""

import re
from decimal import Decimal
from typing import Self

from msgspec import Raw, Struct

_IN_FULL = re.compile(r"([0-9]{4})-([0-9]{4})")
_IN_SHORT = re.compile(r"([0-9]{4})-([0-9]{2})")
_CENTURY = 100


class TaxYear(Struct, frozen=True, order=True):
    """The tax year that begins on 6 April of the year `first`."""

    first: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a tax year in either form.

        Raises:
            ValueError: it names none. Its text may be shown.
        """
        for form in (cls.parse_full, cls.parse_short):
            try:
                return form(text)
            except ValueError:
                continue
        raise ValueError("a tax year is two consecutive years, like 2022-2023 or 2022-23")

    @classmethod
    def parse_full(cls, text: str) -> Self:
        """Parse a tax year in the full form, like `2022-2023`.

        Raises:
            ValueError: it names none. Its text may be shown.
        """
        years = _IN_FULL.fullmatch(text)
        if years is None or int(years[2]) != int(years[1]) + 1:
            raise ValueError("a tax year is two consecutive years, like 2022-2023")
        return cls(int(years[1]))

    @classmethod
    def parse_short(cls, text: str) -> Self:
        """Parse a tax year in HMRC's short form, like `2022-23`.

        Raises:
            ValueError: it names none. Its text may be shown.
        """
        years = _IN_SHORT.fullmatch(text)
        if years is None or int(years[2]) != (int(years[1]) + 1) % _CENTURY:
            raise ValueError("a tax year is two consecutive years, like 2022-23")
        return cls(int(years[1]))

    @property
    def full(self) -> str:
        """The full form, like `2022-2023`."""
        return f"{self.first:04}-{self.first + 1:04}"

    @property
    def short(self) -> str:
        """The short form, like `2022-23`."""
        return f"{self.first:04}-{(self.first + 1) % _CENTURY:02}"


# Matched as text and not parsed as a number, which would make 1e-2 and 0.01 equal.
_FORM = re.compile(rb'("?)(-?(?:0|[1-9][0-9]{0,12})(?:\.[0-9]{1,2})?)\1')

NO_DATA = Raw(b"null")
"""No amount is known, which is not zero."""


def parse_amount(raw: Raw) -> Decimal:
    """Parse the amount in pounds in *raw*, a JSON number or a decimal string.

    Raises:
        ValueError: it is no amount, or not an exact one. Its text may be shown.
    """
    written = _FORM.fullmatch(bytes(raw))
    if written is None:
        raise ValueError(
            "must be a number or a decimal string with at most 13 digits before the point and two "
            "after it, without an exponent"
        )
    amount = Decimal(written[2].decode())
    if amount.is_zero() and amount.is_signed():
        raise ValueError("zero has no sign")
    return amount


def format_amount(amount: Decimal) -> Raw:
    """Return *amount* as a JSON number with two decimals."""
    return Raw(f"{amount:.2f}".encode())
