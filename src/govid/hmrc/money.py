"""Parses and formats amounts of money in JSON exactly, without binary fractions."""

import re
from decimal import Decimal

from msgspec import Raw

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
