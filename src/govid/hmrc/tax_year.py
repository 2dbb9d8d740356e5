"""Tax years."""

import re

_FORM = re.compile(r"([0-9]{4})-([0-9]{4})")


def check(text: str) -> str:
    """Return *text* if it is a tax year: two consecutive years, like `2022-2023`.

    Raises:
        ValueError: it is none. Its text may be shown.
    """
    years = _FORM.fullmatch(text)
    if years is None or int(years[2]) != int(years[1]) + 1:
        raise ValueError("a tax year is two consecutive years, like 2022-2023")
    return text
