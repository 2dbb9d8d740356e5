"""Access tokens for Kafka (SASL/OAUTHBEARER) by OAuth client credentials.

Source: RFC 6749, section 4.4; RFC 7628.
"""

import ssl
import time

import httpx
import msgspec
from aiokafka.abc import AbstractTokenProvider

from govid.bus.kafka.errors import TokenUnavailable
from govid.bus.settings import KafkaSecurity
from govid.bus.shared.privacy import RedactedStruct
from govid.bus.upstream import (
    BearerToken,
    CredentialsRejected,
    TokenCache,
    UnusableResponse,
    UpstreamFailure,
    UpstreamUnavailable,
)

TOKEN_SECONDS = 5.0
"""How long to wait for the token endpoint."""
RETRY_SECONDS = 1.0
"""The pause after a failed request, however many connections need a token."""
DEFAULT_LIFE_SECONDS = 300.0
"""The lifetime of a token without `expires_in`, which RFC 6749 only recommends."""
_NAME = "token endpoint"


class _TokenResponse(RedactedStruct, frozen=True, kw_only=True):
    access_token: str
    expires_in: float = DEFAULT_LIFE_SECONDS


class OAuthTokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # no types
    """Provides the clients of one process with a token, and renews it before it expires."""

    def __init__(self, security: KafkaSecurity) -> None:
        """Request tokens from the token endpoint of *security*."""
        self._security = security
        self._tokens = TokenCache(self._fetch)
        self._failure: UpstreamFailure | None = None
        self._failed_at = float("-inf")

    async def token(self) -> str:
        """Return a token that is not about to expire.

        Raises:
            TokenUnavailable: the token endpoint does not respond, or refuses the credentials.
        """
        try:
            return await self._tokens.get()
        except UpstreamFailure as failure:
            raise TokenUnavailable(failure.reason) from None

    async def _fetch(self) -> BearerToken:
        if self._failure is not None and time.monotonic() - self._failed_at < RETRY_SECONDS:
            raise self._failure.copy()
        try:
            token = await self._request_token()
        except UpstreamFailure as failure:
            self._failure, self._failed_at = failure, time.monotonic()
            raise
        self._failure = None
        return token

    async def _request_token(self) -> BearerToken:
        security = self._security
        form = {"grant_type": "client_credentials"}
        if security.oauth_scope:
            form["scope"] = security.oauth_scope
        try:
            async with httpx.AsyncClient(
                verify=self._build_tls_context(), trust_env=False, timeout=TOKEN_SECONDS
            ) as client:
                response = await client.post(
                    security.oauth_token_url or "",
                    data=form,
                    auth=(security.oauth_client_id or "", security.oauth_client_secret.read()),
                )
        except OSError:
            raise CredentialsRejected(
                _NAME, "the file of GOVID_KAFKA_OAUTH_CLIENT_SECRET cannot be read"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise UpstreamUnavailable(_NAME, "its token endpoint does not answer") from None
        if response.is_server_error:
            raise UpstreamUnavailable(
                _NAME, f"its token endpoint answers with status {response.status_code}"
            )
        if not response.is_success:
            raise CredentialsRejected(
                _NAME, "its token endpoint refuses GOVID_KAFKA_OAUTH_CLIENT_ID or its secret"
            )
        try:
            granted = msgspec.json.decode(response.content, type=_TokenResponse)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UnusableResponse(_NAME, "its token endpoint answers without a token") from None
        return BearerToken(value=granted.access_token, life_seconds=granted.expires_in)

    def _build_tls_context(self) -> ssl.SSLContext:
        """Trust the authorities of the operating system, and that of the brokers."""
        context = ssl.create_default_context()
        if self._security.ca_file is not None:
            context.load_verify_locations(self._security.ca_file)
        return context
