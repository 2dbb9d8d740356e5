"""Serves HMRC's consent page, on which a person grants or denies an application access."""

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from govid.hmrc.simulator.applications import OUT_OF_BAND, SANDBOX_USERS, RegisteredApplication
from govid.hmrc.simulator.oauth import OAuthError, UserConsents, parse_scopes

PATH = "/oauth/authorize"
FORWARDED_PARAMETERS = (
    *("response_type", "client_id", "scope", "state", "redirect_uri"),
    *("code_challenge", "code_challenge_method"),
)
DENIED_RESULT = {
    "error": "access_denied",
    "error_description": "user denied the authorization",
    "error_code": "USER_DENIED_AUTHORIZATION",
}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<h1>{title}</h1>
{body}
</html>
"""


class AuthorisationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The access that an application requests from a person."""

    client: RegisteredApplication
    scopes: frozenset[str]
    state: str | None
    redirect_uri: str
    challenge: str | None


class ConsentPage:
    """The consent page. Test users need no password here."""

    def __init__(
        self, clients: Mapping[str, RegisteredApplication], consents: UserConsents
    ) -> None:
        """Accept requests of *clients*; store decisions in *consents*."""
        self._clients = clients
        self._consents = consents

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the page, and the route of its form."""

        @get(PATH)
        async def ask(request: Request[Any, Any, Any]) -> Response[bytes]:
            query = dict(request.query_params)
            try:
                return _render_page(
                    "Give your permission", _render_form(query, self._validate_request(query))
                )
            except OAuthError as refusal:
                return refusal.response

        @post(PATH)
        async def decide(request: Request[Any, Any, Any]) -> Response[bytes]:
            form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
            try:
                return self._decide(form, self._validate_request(form))
            except OAuthError as refusal:
                return refusal.response

        return [ask, decide]

    def _validate_request(self, form: Mapping[str, str]) -> AuthorisationRequest:
        """Validate the request. An error is never redirected to an unknown address."""
        if "client_secret" in form:
            raise OAuthError("invalid_request", "client_secret must not be sent here")
        client = self._clients.get(form.get("client_id", ""))
        if client is None:
            raise OAuthError("invalid_request", "client_id is invalid")
        redirect_uri = form.get("redirect_uri", "")
        if redirect_uri not in client.redirect_uris:
            raise OAuthError("invalid_request", "redirect_uri is invalid")
        if form.get("response_type") != "code":
            raise OAuthError("invalid_request", "response_type must be code")
        challenge = form.get("code_challenge")
        if challenge is not None and form.get("code_challenge_method") != "S256":
            raise OAuthError("invalid_request", "code_challenge_method must be S256")
        scopes = parse_scopes(form.get("scope", ""), client)
        if not scopes:
            raise OAuthError("invalid_scope", "scope is required")
        return AuthorisationRequest(
            client=client,
            scopes=scopes,
            state=form.get("state"),
            redirect_uri=redirect_uri,
            challenge=challenge,
        )

    def _decide(
        self, form: Mapping[str, str], authorisation: AuthorisationRequest
    ) -> Response[bytes]:
        if form.get("decision") != "grant":
            return _redirect(authorisation, DENIED_RESULT)
        user = form.get("user", "")
        if user not in SANDBOX_USERS:
            raise OAuthError("invalid_request", "user is invalid")
        code = self._consents.issue_code(
            client_id=authorisation.client.id,
            user=user,
            scopes=authorisation.scopes,
            redirect_uri=authorisation.redirect_uri,
            challenge=authorisation.challenge,
        )
        return _redirect(authorisation, {"code": code})


def _redirect(authorisation: AuthorisationRequest, result: Mapping[str, str]) -> Response[bytes]:
    """Redirect the browser to the application; without a redirect URI, show the result."""
    result_members = (
        dict(result) if authorisation.state is None else {**result, "state": authorisation.state}
    )
    if authorisation.redirect_uri == OUT_OF_BAND:
        shown = "".join(
            f"<p>{escape(name)}: <b>{escape(text)}</b></p>" for name, text in result_members.items()
        )
        return _render_page("Your decision", shown)
    separator = "&" if "?" in authorisation.redirect_uri else "?"
    return Response(
        b"",
        status_code=int(HTTPStatus.SEE_OTHER),
        headers={"Location": f"{authorisation.redirect_uri}{separator}{urlencode(result_members)}"},
        media_type="text/plain",
    )


def _render_form(query: Mapping[str, str], authorisation: AuthorisationRequest) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(query[name])}">'
        for name in FORWARDED_PARAMETERS
        if name in query
    )
    people = "".join(
        f'<option value="{user.id}">{escape(user.name)}</option>' for user in SANDBOX_USERS.values()
    )
    scopes = "".join(f"<li>{escape(scope)}</li>" for scope in sorted(authorisation.scopes))
    return (
        f"<p>{escape(authorisation.client.id)} asks for:</p><ul>{scopes}</ul>"
        f'<form method="post" action="authorize">{hidden}'
        f'<label>I am <select name="user">{people}</select></label> '
        '<button name="decision" value="grant">Give permission</button> '
        '<button name="decision" value="deny">Do not give permission</button></form>'
    )


def _render_page(title: str, body: str) -> Response[bytes]:
    return Response(
        _PAGE.format(title=title, body=body).encode(),
        status_code=int(HTTPStatus.OK),
        media_type="text/html",
        headers={
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )
