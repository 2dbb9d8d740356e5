"""Simulates HMRC's OAuth: token endpoint, access tokens, one-time codes and refresh tokens.

Source: HMRC Developer Hub, "Application-restricted endpoints" and "User-restricted endpoints".
"""

from collections.abc import Mapping
from hmac import compare_digest
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from govid.hmrc.simulator.clients import RegisteredApplication
from govid.hmrc.simulator.consents import UserConsent, UserConsents
from govid.hmrc.simulator.errors import json_response
from govid.hmrc.simulator.refusals import OAuthError
from govid.hmrc.simulator.tokens import TOKEN_LIFETIME_SECONDS, AccessTokenStore

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
                return json_response(self._granted(form))
            except OAuthError as refusal:
                return refusal.response

        return token

    def _granted(self, form: Form) -> Mapping[str, object]:
        client = self._client(form)
        match form["grant_type"]:
            case "authorization_code":
                consent = self._consents.redeem_code(
                    form["code"],
                    client.id,
                    form["redirect_uri"],
                    form.get("code_verifier", ""),
                )
                return self._for_user(client, consent)
            case "refresh_token":
                renewal = self._consents.consume_refresh_token(form["refresh_token"], client.id)
                self._tokens.revoke(renewal.access_token)
                return self._for_user(client, renewal.consent)
            case _:
                scopes = parse_scopes(form.get("scope", ""), client)
                return _answer(self._tokens.issue(client, scopes), scopes)

    def _client(self, form: Form) -> RegisteredApplication:
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

    def _for_user(
        self, client: RegisteredApplication, consent: UserConsent
    ) -> Mapping[str, object]:
        token = self._tokens.issue(client, consent.scopes, consent.user)
        refresh_token = self._consents.issue_refresh_token(consent, token)
        return {**_answer(token, consent.scopes), "refresh_token": refresh_token}


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


def _answer(token: str, scopes: frozenset[str]) -> dict[str, object]:
    answer: dict[str, object] = {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": TOKEN_LIFETIME_SECONDS,
    }
    if scopes:
        answer["scope"] = " ".join(sorted(scopes))
    return answer
