"""How a person lets govid read their tax at HMRC: by OAuth's code, with a proof of who asked.

Source: HMRC Developer Hub, "User-restricted endpoints"; RFC 7636.
"""

import logging
from collections.abc import Collection, Mapping
from http import HTTPStatus
from urllib.parse import urlencode

import msgspec

from govid.bus.upstream import Answer, Api, AuthFailed, Call, Unusable
from govid.hmrc.registry.oauth import Credentials
from govid.hmrc.registry.taxes import CodeNotGood, Granted, ReconsentRequired

log = logging.getLogger(__name__)

SCOPES = (
    "read:individual-tax",
    "read:individual-income",
    "read:individual-employment",
    "read:self-assessment",
)
_PAGE = "/oauth/authorize"
_PATH = "/oauth/token"
_CODE_NOT_GOOD = ("invalid_grant", "invalid_request")
_TOKEN_NOT_GOOD = ("invalid_grant",)
"""By these HMRC refuses a code or a refresh token; all else is about govid itself.

A code comes from a browser, and may be anything; a refresh token came from HMRC.
"""
_OF_PLATFORM = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED)
_NOT_LET_IN = (
    *("invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"),
    "invalid_request",
)
"""By these HMRC's platform refuses govid itself: every other citizen's call would end alike.

Source: RFC 6749, section 5.2. Nothing that a citizen sends may cause one of them.
"""


class _Answered(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str
    refresh_token: str
    expires_in: float

    def __repr__(self) -> str:
        """Show nothing (I9)."""
        return "<_Answered>"


class _Refused(msgspec.Struct, frozen=True, kw_only=True):
    error: object = None


class RemoteConsentDesk:
    """HMRC's page of consent, and its tokens for one person."""

    def __init__(
        self, api: Api, credentials: Credentials, *, page_url: str, redirect_uri: str
    ) -> None:
        """Ask *api* as *credentials*.

        The page is below *page_url*; browsers are sent back to *redirect_uri*, as it is registered
        at HMRC.
        """
        self._api = api
        self._credentials = credentials
        self._page = page_url.rstrip("/") + _PAGE
        self._redirect_uri = redirect_uri

    def page(self, state: str, challenge: str) -> str:
        """Return the address of the page, on which this question stands."""
        question = {
            "response_type": "code",
            "client_id": self._credentials.client_id,
            "scope": " ".join(SCOPES),
            "state": state,
            "redirect_uri": self._redirect_uri,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._page}?{urlencode(question)}"

    async def redeem(self, code: str, verifier: str, correlation_id: str | None) -> Granted:
        """Exchange *code* for tokens."""
        form = {"redirect_uri": self._redirect_uri, "code": code, "code_verifier": verifier}
        answer = await self._send("consent.redeem", "authorization_code", form, correlation_id)
        return self._granted(answer, _CODE_NOT_GOOD, CodeNotGood())

    async def renew(self, refresh_token: str, correlation_id: str | None) -> Granted:
        """Exchange *refresh_token* for the next ones."""
        form = {"refresh_token": refresh_token}
        answer = await self._send("consent.renew", "refresh_token", form, correlation_id)
        return self._granted(answer, _TOKEN_NOT_GOOD, ReconsentRequired())

    async def _send(
        self, operation: str, kind: str, form: Mapping[str, str], correlation_id: str | None
    ) -> Answer:
        """Send *form* once: what may have arrived has used up what is good for once."""
        who = {
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret(),
            "grant_type": kind,
        }
        return await self._api.send(
            Call(
                operation=operation,
                method="POST",
                route=_PATH,
                path=_PATH,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode({**who, **form}).encode(),
                correlation_id=correlation_id,
            )
        )

    def _granted(self, answer: Answer, errors: Collection[str], not_good: Exception) -> Granted:
        if answer.is_success:
            granted = answer.decode(_Answered)
            return Granted(
                access_token=granted.access_token,
                refresh_token=granted.refresh_token,
                life_seconds=granted.expires_in,
            )
        error = answer.decode(_Refused).error
        if answer.status == HTTPStatus.BAD_REQUEST and error in errors:
            raise not_good
        if answer.status not in _OF_PLATFORM:
            # A firewall's answer, perhaps to this code alone: it says nothing about the others.
            raise Unusable(answer.api, f"status {answer.status}")
        if error in _NOT_LET_IN:
            self._api.breaker.trip()
        log.error("department.credentials_rejected", extra={"department": answer.api})
        raise AuthFailed(answer.api, "credentials refused")
