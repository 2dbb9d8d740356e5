"""Access tokens for Kafka (SASL/OAUTHBEARER) by OAuth client credentials.

Source: RFC 6749, section 4.4; RFC 7628.
"""

import asyncio
import ssl
import time
from urllib.parse import quote_plus

import httpx
import msgspec
from aiokafka.abc import AbstractTokenProvider

from govid.bus.kafka.errors import TokenUnavailable
from govid.bus.settings import KafkaSecurity
from govid.bus.shared.privacy import RedactedStruct
from govid.bus.shared.secret_source import WatchedSecret
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
MAX_RETRY_SECONDS = 60.0
"""The longest pause after refused credentials: it doubles until the secret changes."""
MAX_TOKEN_BYTES = 64 * 1024
DEFAULT_LIFE_SECONDS = 300.0
"""The lifetime of a token without `expires_in`, which RFC 6749 only recommends."""
_NAME = "token endpoint"
_SILENT = "its token endpoint does not answer"


class _TokenResponse(RedactedStruct, frozen=True, kw_only=True):
    access_token: str
    expires_in: float = DEFAULT_LIFE_SECONDS


class OAuthTokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # no types
    """Provides the clients of one process with a token, and renews it before it expires."""

    def __init__(self, security: KafkaSecurity, secret: WatchedSecret) -> None:
        """Request tokens from the token endpoint of *security* with the client *secret*."""
        self._security = security
        self._secret = secret
        self._tokens = TokenCache(self._fetch)
        self._failure: UpstreamFailure | None = None
        self._retry_at = float("-inf")
        self._refusals = 0
        self._refused_secret: str | None = None

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
        try:
            secret = self._secret.read()
        except OSError:
            raise CredentialsRejected(
                _NAME, "the file of GOVID_KAFKA_OAUTH_CLIENT_SECRET cannot be read"
            ) from None
        is_known = secret == self._refused_secret or self._refused_secret is None
        if self._failure is not None and is_known and time.monotonic() < self._retry_at:
            raise self._failure.copy()
        try:
            async with asyncio.timeout(TOKEN_SECONDS):
                token = await self._request_token(secret)
        except UpstreamFailure as failure:
            self._note_failure(failure, secret)
            raise
        except TimeoutError:
            silence = UpstreamUnavailable(_NAME, _SILENT)
            self._note_failure(silence, secret)
            raise silence from None
        self._failure, self._refusals, self._refused_secret = None, 0, None
        return token

    def _note_failure(self, failure: UpstreamFailure, secret: str) -> None:
        """Set the pause: many refused requests could lock govid's client out."""
        pause = RETRY_SECONDS
        if isinstance(failure, CredentialsRejected):
            pause = min(MAX_RETRY_SECONDS, RETRY_SECONDS * 2**self._refusals)
            self._refusals += 1
            self._refused_secret = secret
        self._failure, self._retry_at = failure, time.monotonic() + pause

    async def _request_token(self, secret: str) -> BearerToken:
        security = self._security
        form = {"grant_type": "client_credentials"}
        if security.oauth_scope:
            form["scope"] = security.oauth_scope
        # RFC 6749, section 2.3.1: both are encoded like a form first.
        client = (quote_plus(security.oauth_client_id or ""), quote_plus(secret))
        try:
            verify = self._build_tls_context()
        except OSError:
            raise UpstreamUnavailable(
                _NAME, "the file of GOVID_KAFKA_SSL_CA_FILE cannot be used"
            ) from None
        try:
            async with (
                httpx.AsyncClient(verify=verify, trust_env=False, timeout=TOKEN_SECONDS) as http,
                http.stream(
                    "POST", security.oauth_token_url or "", data=form, auth=client
                ) as response,
            ):
                return await self._read_token(response)
        except (httpx.HTTPError, httpx.InvalidURL):
            raise UpstreamUnavailable(_NAME, _SILENT) from None

    async def _read_token(self, response: httpx.Response) -> BearerToken:
        if response.is_server_error:
            raise UpstreamUnavailable(
                _NAME, f"its token endpoint answers with status {response.status_code}"
            )
        if not response.is_success:
            raise CredentialsRejected(
                _NAME, "its token endpoint refuses GOVID_KAFKA_OAUTH_CLIENT_ID or its secret"
            )
        content = b""
        async for part in response.aiter_bytes():
            content += part
            if len(content) > MAX_TOKEN_BYTES:
                break
        try:
            granted = msgspec.convert(
                msgspec.json.decode(content), type=_TokenResponse, strict=False
            )
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UnusableResponse(_NAME, "its token endpoint answers without a token") from None
        return BearerToken(value=granted.access_token, life_seconds=granted.expires_in)

    def _build_tls_context(self) -> ssl.SSLContext:
        """Trust the authorities of the operating system, and that of the brokers."""
        context = ssl.create_default_context()
        if self._security.ca_file is not None:
            context.load_verify_locations(self._security.ca_file)
        return context
