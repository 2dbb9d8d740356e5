"""Simulates HMRC's OAuth: token endpoint, access tokens, one-time codes and refresh tokens.

Source: HMRC Developer Hub, "Application-restricted endpoints" and "User-restricted endpoints".
"""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from govid.bus import Clock
from govid.bus.shared.privacy import RedactedStruct
from govid.hmrc.simulator.applications import RegisteredApplication
from govid.hmrc.simulator.errors import json_response


class OAuthError(Exception):
    """An OAuth error response."""

    def __init__(
        self,
        error: str,
        description: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
    ) -> None:
        """Respond with the OAuth *error*, a fixed code, and its *description*, free text."""
        self.status = status
        self.content = {"error": error, "error_description": description}
        super().__init__(error)

    @property
    def response(self) -> Response[bytes]:
        """The response."""
        return json_response(self.content, self.status)


TOKEN_LIFETIME_SECONDS = 4 * 60 * 60


class TokenGrant(RedactedStruct, frozen=True, kw_only=True):
    """What an access token allows; *user* gave consent, if the scopes require it."""

    client: RegisteredApplication
    scopes: frozenset[str]
    expires_at: datetime
    user: str | None = None


class AccessTokenStore:
    """The issued access tokens."""

    def __init__(self, clock: Clock) -> None:
        """Use *clock* for expiry."""
        self._clock = clock
        self._grants: dict[str, TokenGrant] = {}
        self.issued_count = 0

    def issue(
        self, client: RegisteredApplication, scopes: frozenset[str], user: str | None = None
    ) -> str:
        """Issue an access token."""
        token = secrets.token_urlsafe(24)
        ends = self._clock.now() + timedelta(seconds=TOKEN_LIFETIME_SECONDS)
        self._grants[token] = TokenGrant(client=client, scopes=scopes, expires_at=ends, user=user)
        self.issued_count += 1
        return token

    def grant(self, token: str) -> TokenGrant | None:
        """Return what *token* allows; None if it has expired or is unknown."""
        grant = self._grants.get(token)
        return grant if grant is not None and self._clock.now() < grant.expires_at else None

    def revoke(self, token: str) -> None:
        """Invalidate *token*."""
        self._grants.pop(token, None)

    def revoke_all(self) -> None:
        """Invalidate all tokens."""
        self._grants.clear()


CODE_LIFETIME = timedelta(minutes=10)
CONSENT_LIFETIME = timedelta(days=548)
"""Eighteen months."""


class UserConsent(RedactedStruct, frozen=True, kw_only=True):
    """The consent of *user* to an application, until it ends."""

    client_id: str
    user: str
    scopes: frozenset[str]
    expires_at: datetime


class AuthorisationCode(msgspec.Struct, frozen=True, kw_only=True):
    """A consent whose code is not yet redeemed; *challenge* is the PKCE challenge (RFC 7636)."""

    consent: UserConsent
    redirect_uri: str
    challenge: str | None
    expires_at: datetime


class RefreshGrant(RedactedStruct, frozen=True, kw_only=True):
    """A consent, and the access token that ends when the refresh token is used."""

    consent: UserConsent
    access_token: str


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
            client_id=client_id, user=user, scopes=scopes, expires_at=now + CONSENT_LIFETIME
        )
        code = secrets.token_hex(16)
        self._codes[code] = AuthorisationCode(
            consent=consent,
            redirect_uri=redirect_uri,
            challenge=challenge,
            expires_at=now + CODE_LIFETIME,
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
        if (
            found is None
            or found.consent.client_id != client_id
            or self._clock.now() >= found.expires_at
        ):
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
        if self._clock.now() >= found.consent.expires_at:
            raise OAuthError("invalid_grant", "refresh_token is expired")
        return found

    def revoke_all(self) -> None:
        """End all consents."""
        self._codes.clear()
        self._refresh_grants.clear()


def _code_challenge(verifier: str) -> str:
    digest = sha256(verifier.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


OAUTH_PATH = "/oauth/token"
REQUIRED_FIELDS = ("client_id", "client_secret", "grant_type")
REQUIRED_FIELDS_BY_GRANT: Mapping[str, tuple[str, ...]] = {
    "client_credentials": (),
    "authorization_code": ("redirect_uri", "code"),
    "refresh_token": ("refresh_token",),
}

Form = Mapping[str, str]


class TokenEndpoint:
    """Issues access tokens to registered applications, by their secret or a person's consent."""

    def __init__(
        self,
        clients: Mapping[str, RegisteredApplication],
        tokens: AccessTokenStore,
        consents: UserConsents,
    ) -> None:
        """Authenticate *clients*; issue *tokens*; redeem and renew *consents*."""
        self._clients = clients
        self._tokens = tokens
        self._consents = consents

    def route(self) -> HTTPRouteHandler:
        """Return the endpoint."""

        @post(OAUTH_PATH, status_code=HTTPStatus.OK)
        async def token(request: Request[Any, Any, Any]) -> Response[bytes]:
            body = await request.body()
            form = dict(parse_qsl(body.decode("utf-8", "replace")))
            try:
                return json_response(self._grant_tokens(form))
            except OAuthError as refusal:
                return refusal.response

        return token

    def _grant_tokens(self, form: Form) -> Mapping[str, object]:
        client = self._authenticate_client(form)
        match form["grant_type"]:
            case "authorization_code":
                consent = self._consents.redeem_code(
                    form["code"],
                    client.id,
                    form["redirect_uri"],
                    form.get("code_verifier", ""),
                )
                return self._grant_user_tokens(client, consent)
            case "refresh_token":
                renewal = self._consents.consume_refresh_token(form["refresh_token"], client.id)
                self._tokens.revoke(renewal.access_token)
                return self._grant_user_tokens(client, renewal.consent)
            case _:
                scopes = parse_scopes(form.get("scope", ""), client)
                return _build_token_response(self._tokens.issue(client, scopes), scopes)

    def _authenticate_client(self, form: Form) -> RegisteredApplication:
        """Authenticate the application by the form; credentials in a header are ignored."""
        _require(form, REQUIRED_FIELDS)
        if form["grant_type"] not in REQUIRED_FIELDS_BY_GRANT:
            raise OAuthError("invalid_request", "unsupported grant_type")
        _require(form, REQUIRED_FIELDS_BY_GRANT[form["grant_type"]])
        client = self._clients.get(form["client_id"])
        offered = form["client_secret"].encode()
        known = client.secrets if client is not None else ()
        if client is None or not any(compare_digest(offered, one.encode()) for one in known):
            raise OAuthError(
                "invalid_client", "invalid client id or secret", HTTPStatus.UNAUTHORIZED
            )
        return client

    def _grant_user_tokens(
        self, client: RegisteredApplication, consent: UserConsent
    ) -> Mapping[str, object]:
        token = self._tokens.issue(client, consent.scopes, consent.user)
        refresh_token = self._consents.issue_refresh_token(consent, token)
        return {**_build_token_response(token, consent.scopes), "refresh_token": refresh_token}


def parse_scopes(text: str, client: RegisteredApplication) -> frozenset[str]:
    """Return the scopes that *text* names.

    Raises:
        OAuthError: the application does not have one of them.
    """
    scopes = frozenset(text.split())
    if not scopes <= client.scopes:
        raise OAuthError("invalid_scope", "the application has no such scope")
    return scopes


def _require(form: Form, names: tuple[str, ...]) -> None:
    for name in names:
        if not form.get(name):
            raise OAuthError("invalid_request", f"{name} is required")


def _build_token_response(token: str, scopes: frozenset[str]) -> dict[str, object]:
    answer: dict[str, object] = {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": TOKEN_LIFETIME_SECONDS,
    }
    if scopes:
        answer["scope"] = " ".join(sorted(scopes))
    return answer
