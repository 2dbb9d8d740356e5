"""Unique taxpayer references."""

import re

_FORM = re.compile(r"[0-9]{10}")
_WEIGHTS = (6, 7, 8, 9, 10, 5, 4, 3, 2)
_CHECK_DIGITS = "21987654321"


def normalise(text: str) -> str:
    """Return the unique taxpayer reference *text* as ten digits.

    Spaces and a leading or trailing `K` are forgiven. The first digit checks the other nine.

    Source: github.com/hmrc/domain, SaUtr and Modulus11Check.

    Raises:
        ValueError: it is none. Its text may be shown; it never holds *text*.
    """
    utr = text.replace(" ", "").upper() if text.isascii() else text
    utr = utr.removeprefix("K") if utr.startswith("K") else utr.removesuffix("K")
    if not _FORM.fullmatch(utr):
        raise ValueError("a unique taxpayer reference is ten digits")
    remainder = sum(int(digit) * weight for digit, weight in zip(utr[1:], _WEIGHTS, strict=True))
    if utr[0] != _CHECK_DIGITS[remainder % 11]:
        raise ValueError("the check digit does not fit the rest of this reference")
    return utr
