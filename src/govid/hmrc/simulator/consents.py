"""Stores the consents of people: one-time codes, and one-time refresh tokens.

Source: HMRC Developer Hub, "User-restricted endpoints".
"""

import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

import msgspec

from govid.bus import Clock
from govid.hmrc.simulator.refusals import Refusal

CODE_LIFE = timedelta(minutes=10)
CONSENT_LIFE = timedelta(days=548)
"""Eighteen months."""


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """The consent of *user* to an application, until it ends."""

    client_id: str
    user: str
    scopes: frozenset[str]
    ends: datetime

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A consent whose code is not yet redeemed; *challenge* is the PKCE challenge (RFC 7636)."""

    consent: Consent
    redirect_uri: str
    challenge: str | None
    ends: datetime


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """A consent, and the access token that ends when the refresh token is used."""

    consent: Consent
    access_token: str

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class Consents:
    """All codes and refresh tokens that were issued and not used."""

    def __init__(self, clock: Clock) -> None:
        """Use *clock* for expiry."""
        self._clock = clock
        self._codes: dict[str, Code] = {}
        self._renewals: dict[str, Renewal] = {}

    def give(
        self,
        *,
        client_id: str,
        user: str,
        scopes: frozenset[str],
        redirect_uri: str,
        challenge: str | None,
    ) -> str:
        """Store a consent that *user* has given, and return its code."""
        now = self._clock.now()
        consent = Consent(client_id=client_id, user=user, scopes=scopes, ends=now + CONSENT_LIFE)
        code = secrets.token_hex(16)
        self._codes[code] = Code(
            consent=consent, redirect_uri=redirect_uri, challenge=challenge, ends=now + CODE_LIFE
        )
        return code

    def redeem(self, code: str, client_id: str, redirect_uri: str, verifier: str) -> Consent:
        """Return the consent of *code*, which is consumed whatever the result.

        Raises:
            OAuthError: the code is invalid, or for another application or redirect URI.
        """
        found = self._codes.pop(code, None)
        if found is None or found.consent.client_id != client_id or self._clock.now() >= found.ends:
            raise Refusal("invalid_request", "code is invalid")
        if found.redirect_uri != redirect_uri:
            raise Refusal("invalid_request", "redirect_uri is invalid")
        if found.challenge is not None and not compare_digest(
            found.challenge, _code_challenge(verifier)
        ):
            raise Refusal("invalid_request", "code_verifier is invalid")
        return found.consent

    def keep(self, consent: Consent, access_token: str) -> str:
        """Issue a one-time refresh token for *consent* and its current *access_token*."""
        token = secrets.token_hex(16)
        self._renewals[token] = Renewal(consent=consent, access_token=access_token)
        return token

    def renew(self, refresh_token: str, client_id: str) -> Renewal:
        """Return the consent of *refresh_token*, which is consumed: a second use is refused.

        Raises:
            OAuthError: the token is unknown or was used, or the consent has ended.
        """
        found = self._renewals.get(refresh_token)
        if found is None or found.consent.client_id != client_id:
            raise Refusal("invalid_grant", "refresh_token is invalid")
        del self._renewals[refresh_token]
        if self._clock.now() >= found.consent.ends:
            raise Refusal("invalid_grant", "refresh_token is expired")
        return found

    def end_all(self) -> None:
        """End all consents."""
        self._codes.clear()
        self._renewals.clear()


def _code_challenge(verifier: str) -> str:
    digest = sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
