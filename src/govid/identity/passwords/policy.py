"""Which passwords are admitted. No rule asks for digits or signs: length is what protects.

Source: OWASP ASVS 5.0, 6.2; NIST SP 800-63B-4. Contrary to ASVS 6.2.8 a password is brought into
form NFKC, so that one text typed on two devices is one password; everything else counts.
"""

import re
import unicodedata
from collections.abc import Iterator

from govid.identity.errors import Fault
from govid.identity.passwords.blocklists import Blocklists
from govid.identity.schemas import PasswordPolicyView

PASSWORD_MIN_LENGTH = 8
PASSWORD_MAX_LENGTH = 256
ADVISED_LENGTH = 15
"""What NIST asks for where a password is the only factor."""

_SERVICE = ("govid", "nhs", "hmrc")
_LEAST_CONTAINED = 4
"""Shorter words stand in too many others by chance."""
_SEPARATORS = re.compile(r"[._+-]+")


class Policy:
    """Admits passwords, or says what is wrong with them."""

    def __init__(self, *, min_length: int, checks: bool) -> None:
        """Ask for *min_length* code points; with *checks*, refuse what is easy to guess too.

        Raises:
            ValueError: the contract's eight characters are the least.
        """
        if not PASSWORD_MIN_LENGTH <= min_length <= PASSWORD_MAX_LENGTH:
            raise ValueError(
                f"the least length of a password is {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH}"
            )
        self._min_length = min_length
        self._blocklists = Blocklists(min_length=min_length) if checks else None

    def admit(self, text: str, *, email: str | None, identifier: str | None) -> str:
        """Return *text* in the form that is hashed; *email* and *identifier* are its owner's.

        Length is counted in code points of form NFKC; the longest is also counted as sent, as
        that form may be longer by far.

        Raises:
            Fault: it is too short, too long, no Unicode text, or easy to guess.
        """
        if not is_unicode(text):
            raise Fault("password_not_text", "is not valid Unicode text")
        if len(text) > PASSWORD_MAX_LENGTH or len(normal(text)) > PASSWORD_MAX_LENGTH:
            raise Fault("password_too_long", f"has more than {PASSWORD_MAX_LENGTH} characters")
        password = normal(text)
        if len(password) < self._min_length:
            raise Fault("password_too_short", f"has fewer than {self._min_length} characters")
        if self._blocklists is not None:
            self._refuse_guessable(self._blocklists, password, email, identifier)
        return password

    def view(self) -> PasswordPolicyView:
        """Return the rules as data, for those who ask people for passwords."""
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
        self, lists: Blocklists, password: str, email: str | None, identifier: str | None
    ) -> None:
        guess = folded(password)
        if lists.has_common(guess):
            raise Fault("password_common", "is one of the passwords that are used most")
        if lists.has_breached(guess, password):
            raise Fault("password_breached", "is known from data that was stolen elsewhere")
        if any(_betrays(word, guess) for word in _context(email, identifier)):
            raise Fault(
                "password_context", "holds the service's name, or your own number or address"
            )


def normal(password: str) -> str:
    """Return *password* in form NFKC."""
    return unicodedata.normalize("NFKC", password)


def folded(text: str) -> str:
    """Return *text* as guesses are compared: in form NFKC, without case and without spaces."""
    return "".join(normal(normal(text).casefold()).split())


def is_unicode(text: str) -> bool:
    """Tell whether *text* can be encoded: a lone surrogate cannot, and reaches us as JSON."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _betrays(word: str, guess: str) -> bool:
    return word == guess or (len(word) >= _LEAST_CONTAINED and word in guess)


def _context(email: str | None, identifier: str | None) -> Iterator[str]:
    """Yield the words that somebody who knows the owner would try first.

    An address often is a name, so its parts count like the whole.
    """
    yield from _SERVICE
    if identifier is not None and is_unicode(identifier):
        number = folded(identifier)
        yield number
        yield number.removeprefix("nhs")
    if email is not None and is_unicode(email):
        local = folded(email.rpartition("@")[0] or email)
        yield local
        yield from _SEPARATORS.split(local)
