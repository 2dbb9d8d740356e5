"""OAuth clients of HMRC: client credentials, and the authorisation code flow with PKCE.

Source: HMRC Developer Hub, "Application-restricted endpoints" and "User-restricted endpoints";
RFC 7636.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import msgspec

from govid.bus.shared.privacy import RedactedStruct
from govid.bus.upstream import (
    BearerToken,
    CredentialsRejected,
    TokenClient,
    UnusableResponse,
    UpstreamClient,
    UpstreamResponse,
    build_token_request,
)
from govid.hmrc.clients.interfaces import GrantedTokens, InvalidConsentCode, ReconsentRequired

log = logging.getLogger(__name__)


TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path


class ClientCredentials(RedactedStruct, frozen=True, kw_only=True):
    """The client id and secret of govid at HMRC, and the scopes to request, if any."""

    client_id: str
    client_secret: Callable[[], str]
    scope: str = ""


class _ClientToken(RedactedStruct, frozen=True, kw_only=True):
    access_token: str
    expires_in: float
    """Seconds, as a number."""


def build_token_client(api: UpstreamClient, credentials: ClientCredentials) -> TokenClient:
    """Return a client that sends *credentials* in the form, which is the only way HMRC accepts."""
    return TokenClient(api, TOKEN_PATH, lambda: _build_form(credentials), _parse_token)


def _build_form(credentials: ClientCredentials) -> Mapping[str, str]:
    form = _grant_form(credentials, "client_credentials")
    return {**form, "scope": credentials.scope} if credentials.scope else form


def _grant_form(credentials: ClientCredentials, grant_type: str) -> Mapping[str, str]:
    return {
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret(),
        "grant_type": grant_type,
    }


def _parse_token(response: UpstreamResponse) -> BearerToken:
    granted = response.decode(_ClientToken)
    return BearerToken(value=granted.access_token, life_seconds=granted.expires_in)


SCOPES = (
    "read:individual-tax",
    "read:individual-income",
    "read:individual-employment",
    "read:self-assessment",
)
_AUTHORISE_PATH = "/oauth/authorize"
_INVALID_CODE = ("invalid_grant", "invalid_request")
_INVALID_REFRESH_TOKEN = ("invalid_grant",)
"""Errors by which HMRC refuses a code or a refresh token; all others are about govid itself.

A code comes from a browser and may be any text; a refresh token came from HMRC.
"""
_PLATFORM_STATUSES = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED)
_ACCESS_DENIED = (
    *("invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"),
    "invalid_request",
)
"""Errors by which HMRC refuses govid itself: every other citizen's call would fail too.

Source: RFC 6749, section 5.2. No input of a citizen may cause one of them.
"""


class _TokenResponse(RedactedStruct, frozen=True, kw_only=True):
    access_token: str
    refresh_token: str
    expires_in: float


class _ErrorResponse(msgspec.Struct, frozen=True, kw_only=True):
    error: object = None


class RemoteConsentClient:
    """Client of HMRC's consent page, and of its tokens for one person."""

    def __init__(
        self,
        api: UpstreamClient,
        credentials: ClientCredentials,
        *,
        page_url: str,
        redirect_uri: str,
    ) -> None:
        """Call *api* with *credentials*.

        The page is below *page_url*; browsers are sent back to *redirect_uri*, which is registered
        at HMRC.
        """
        self._api = api
        self._credentials = credentials
        self._page_url = page_url.rstrip("/") + _AUTHORISE_PATH
        self._redirect_uri = redirect_uri

    def authorisation_url(self, state: str, challenge: str) -> str:
        """Return the address of the consent page for this request."""
        query = {
            "response_type": "code",
            "client_id": self._credentials.client_id,
            "scope": " ".join(SCOPES),
            "state": state,
            "redirect_uri": self._redirect_uri,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._page_url}?{urlencode(query)}"

    async def redeem(self, code: str, verifier: str, correlation_id: str | None) -> GrantedTokens:
        """Exchange *code* for tokens."""
        form = {"redirect_uri": self._redirect_uri, "code": code, "code_verifier": verifier}
        answer = await self._send("consent.redeem", "authorization_code", form, correlation_id)
        return self._parse_granted(answer, _INVALID_CODE, InvalidConsentCode())

    async def renew(self, refresh_token: str, correlation_id: str | None) -> GrantedTokens:
        """Exchange *refresh_token* for new tokens."""
        form = {"refresh_token": refresh_token}
        answer = await self._send("consent.renew", "refresh_token", form, correlation_id)
        return self._parse_granted(answer, _INVALID_REFRESH_TOKEN, ReconsentRequired())

    async def _send(
        self, operation: str, kind: str, form: Mapping[str, str], correlation_id: str | None
    ) -> UpstreamResponse:
        """Send *form* once: a request that may have arrived has consumed the code or token."""
        form = {**_grant_form(self._credentials, kind), **form}
        return await self._api.request(
            build_token_request(operation, TOKEN_PATH, form, correlation_id=correlation_id)
        )

    def _parse_granted(
        self, response: UpstreamResponse, errors: Collection[str], refusal: Exception
    ) -> GrantedTokens:
        if response.is_success:
            granted = response.decode(_TokenResponse)
            return GrantedTokens(
                access_token=granted.access_token,
                refresh_token=granted.refresh_token,
                life_seconds=granted.expires_in,
            )
        error = response.decode(_ErrorResponse).error
        if response.status == HTTPStatus.BAD_REQUEST and error in errors:
            raise refusal
        if response.status not in _PLATFORM_STATUSES:
            # Perhaps a firewall's response to this code only, so the breaker stays closed.
            raise UnusableResponse(response.department, f"status {response.status}")
        if error in _ACCESS_DENIED:
            self._api.breaker.trip()
        log.error("department.credentials_rejected", extra={"department": response.department})
        raise CredentialsRejected(response.department, "credentials refused")
