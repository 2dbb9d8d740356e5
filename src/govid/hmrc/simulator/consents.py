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
from govid.hmrc.simulator.refusals import OAuthError

CODE_LIFETIME = timedelta(minutes=10)
CONSENT_LIFETIME = timedelta(days=548)
"""Eighteen months."""


class UserConsent(msgspec.Struct, frozen=True, kw_only=True):
    """The consent of *user* to an application, until it ends."""

    client_id: str
    user: str
    scopes: frozenset[str]
    ends: datetime

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class AuthorisationCode(msgspec.Struct, frozen=True, kw_only=True):
    """A consent whose code is not yet redeemed; *challenge* is the PKCE challenge (RFC 7636)."""

    consent: UserConsent
    redirect_uri: str
    challenge: str | None
    ends: datetime


class RefreshGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A consent, and the access token that ends when the refresh token is used."""

    consent: UserConsent
    access_token: str

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return f"<{type(self).__name__}>"


class UserConsents:
    """All codes and refresh tokens that were issued and not used."""

    def __init__(self, clock: Clock) -> None:
        """Use *clock* for expiry."""
        self._clock = clock
        self._codes: dict[str, AuthorisationCode] = {}
        self._refresh_grants: dict[str, RefreshGrant] = {}

    def issue_code(
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
        consent = UserConsent(
            client_id=client_id, user=user, scopes=scopes, ends=now + CONSENT_LIFETIME
        )
        code = secrets.token_hex(16)
        self._codes[code] = AuthorisationCode(
            consent=consent,
            redirect_uri=redirect_uri,
            challenge=challenge,
            ends=now + CODE_LIFETIME,
        )
        return code

    def redeem_code(
        self, code: str, client_id: str, redirect_uri: str, verifier: str
    ) -> UserConsent:
        """Return the consent of *code*, which is consumed whatever the result.

        Raises:
            OAuthError: the code is invalid, or for another application or redirect URI.
        """
        found = self._codes.pop(code, None)
        if found is None or found.consent.client_id != client_id or self._clock.now() >= found.ends:
            raise OAuthError("invalid_request", "code is invalid")
        if found.redirect_uri != redirect_uri:
            raise OAuthError("invalid_request", "redirect_uri is invalid")
        if found.challenge is not None and not compare_digest(
            found.challenge, _code_challenge(verifier)
        ):
            raise OAuthError("invalid_request", "code_verifier is invalid")
        return found.consent

    def issue_refresh_token(self, consent: UserConsent, access_token: str) -> str:
        """Issue a one-time refresh token for *consent* and its current *access_token*."""
        token = secrets.token_hex(16)
        self._refresh_grants[token] = RefreshGrant(consent=consent, access_token=access_token)
        return token

    def consume_refresh_token(self, refresh_token: str, client_id: str) -> RefreshGrant:
        """Return the consent of *refresh_token*, which is consumed: a second use is refused.

        Raises:
            OAuthError: the token is unknown or was used, or the consent has ended.
        """
        found = self._refresh_grants.get(refresh_token)
        if found is None or found.consent.client_id != client_id:
            raise OAuthError("invalid_grant", "refresh_token is invalid")
        del self._refresh_grants[refresh_token]
        if self._clock.now() >= found.consent.ends:
            raise OAuthError("invalid_grant", "refresh_token is expired")
        return found

    def end_all(self) -> None:
        """End all consents."""
        self._codes.clear()
        self._refresh_grants.clear()


def _code_challenge(verifier: str) -> str:
    digest = sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
