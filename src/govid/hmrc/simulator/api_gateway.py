"""Simulates HMRC's API platform: the checks before a request reaches an API, in order.

HMRC does not publish the order of version, token, subscription and scope; this order is govid's.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from litestar import Request

from govid.bus.upstream.simulation import TokenBucket
from govid.hmrc.simulator.applications import SANDBOX_USERS, SandboxUser
from govid.hmrc.simulator.errors import PLATFORM_ERRORS, HmrcError, platform_error
from govid.hmrc.simulator.oauth import AccessTokenStore, TokenGrant

AnyRequest = Request[Any, Any, Any]

SCENARIO_HEADER = "gov-test-scenario"
_ACCEPT = re.compile(r"application/vnd\.hmrc\.([0-9]+\.[0-9]+)\+json")


def requested_version(request: AnyRequest, offered: Sequence[str]) -> str:
    """Return the version that *request* asks for, which is one of *offered*.

    Raises:
        HmrcError: it names no version (406), or an unknown one (404, as for an unknown path).
    """
    found = _ACCEPT.fullmatch(request.headers.get("accept", ""))
    if found is None:
        raise platform_error("ACCEPT_HEADER_INVALID")
    if found[1] not in offered:
        raise platform_error("MATCHING_RESOURCE_NOT_FOUND")
    return found[1]


class ApiGateway:
    """Checks the token, subscription, scope and rate limit of a request."""

    def __init__(self, tokens: AccessTokenStore, bucket: TokenBucket) -> None:
        """Check access tokens against *tokens*; limit the rate by *bucket*."""
        self._tokens = tokens
        self._bucket = bucket

    def authorise(self, request: AnyRequest, api: str, scope: str | None = None) -> None:
        """Check that *request* may call *api*, with a scope that begins with *scope*.

        Raises:
            HmrcError: it may not.
        """
        grant = self._grant(request.headers.get("authorization"))
        if grant.user is not None:
            # These APIs accept tokens of an application, not tokens for a person.
            raise platform_error("INCORRECT_ACCESS_TOKEN_TYPE")
        self._check(grant, api, scope)

    def authorise_user(self, request: AnyRequest, api: str, scope: str) -> SandboxUser:
        """Check that *request* may call *api* for a person, and return the consenting user.

        Raises:
            HmrcError: it may not.
        """
        grant = self._grant(request.headers.get("authorization"))
        if grant.user is None:
            raise platform_error("INCORRECT_ACCESS_TOKEN_TYPE")
        self._check(grant, api, scope)
        return SANDBOX_USERS[grant.user]

    def _check(self, grant: TokenGrant, api: str, scope: str | None) -> None:
        if api not in grant.client.subscriptions:
            raise platform_error("RESOURCE_FORBIDDEN")
        if scope is not None and not any(one.startswith(scope) for one in grant.scopes):
            raise platform_error("INVALID_SCOPE")
        if not self._bucket.try_acquire():
            raise platform_error("MESSAGE_THROTTLED_OUT")

    def _grant(self, header: str | None) -> TokenGrant:
        if not header:
            raise platform_error("MISSING_CREDENTIALS")
        kind, _, token = header.partition(" ")
        grant = self._tokens.grant(token.strip()) if kind.lower() == "bearer" else None
        if grant is None:
            raise platform_error("INVALID_CREDENTIALS")
        return grant


def requested_scenario(request: AnyRequest, known: Sequence[str]) -> str | None:
    """Return which of the *known* scenarios the header `Gov-Test-Scenario` requests, if any.

    Every API also accepts the code of a platform error as a scenario.

    Raises:
        HmrcError: the requested platform error, or the scenario is unknown.
    """
    requested = request.headers.get(SCENARIO_HEADER)
    if requested is None or requested in known:
        return requested
    if requested in PLATFORM_ERRORS:
        raise platform_error(requested)
    raise HmrcError(
        HTTPStatus.BAD_REQUEST,
        "RULE_INCORRECT_GOV_TEST_SCENARIO",
        "The Gov-Test-Scenario was not found",
    )
