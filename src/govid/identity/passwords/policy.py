"""Validates passwords by length and blocklists; no rule requires digits or symbols.

Source: OWASP ASVS 5.0, 6.2; NIST SP 800-63B-4. Contrary to ASVS 6.2.8, a password is normalised to
NFKC, so that the same text typed on two devices is the same password. Nothing else is changed.
"""

import re
import unicodedata
from collections.abc import Iterator

from govid.identity.errors import FieldError
from govid.identity.passwords.blocklists import PasswordBlocklists
from govid.identity.schemas import PasswordPolicyView

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
        """Require *min_length* code points; with *checks*, refuse guessable passwords too.

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
            self._refuse_guessable(self._blocklists, password, email, identifier)
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

    def _refuse_guessable(
        self, lists: PasswordBlocklists, password: str, email: str | None, identifier: str | None
    ) -> None:
        guess = fold_for_comparison(password)
        if lists.is_common(guess):
            raise FieldError("password_common", "is one of the most commonly used passwords")
        if lists.is_breached(guess, password):
            raise FieldError("password_breached", "is known from a data breach")
        if any(_contains(guess, term) for term in _context(email, identifier)):
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


def _context(email: str | None, identifier: str | None) -> Iterator[str]:
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
