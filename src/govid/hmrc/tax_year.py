"""Defines tax years in their two written forms, and exact amounts of money."""

import re
from typing import Self

from msgspec import Struct

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
