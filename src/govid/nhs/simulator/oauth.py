"""Token endpoint of the simulated NHS: OAuth client credentials with a signed JWT assertion.

Assertions are validated in the order and with the error texts of the NHS.

Source: NHSDigital/identity-service-api, proxies/live (default.xml) and
e2e/tests/oauth/test_client_credentials.py.
"""

import secrets
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt import InvalidTokenError, PyJWS
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from govid.bus import Clock

CLIENT_ID = "govid-simulated-client"
KID = "govid-simulator-1"
_BITS = 2048
_EXPONENT = 65537


class ClientKey:
    """Key pair of the simulated client, generated on first use because generation is slow."""

    def __init__(self, pem: bytes | None = None) -> None:
        """Use the private key *pem*, or generate one."""
        self._pem = pem

    @cached_property
    def _private(self) -> rsa.RSAPrivateKey:
        if self._pem is None:
            return rsa.generate_private_key(_EXPONENT, _BITS)
        key = load_pem_private_key(self._pem, None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("the key of a client must be an RSA key")
        return key

    @cached_property
    def pem(self) -> bytes:
        """Private key in PEM, as the client stores it."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> rsa.RSAPublicKey:
        """Public key, as the client registers it."""
        return self._private.public_key()

    def __repr__(self) -> str:
        """Show no values (I11)."""
        return "<ClientKey>"


class OAuthClient(msgspec.Struct, frozen=True, kw_only=True):
    """Registered OAuth client with its public keys by key id."""

    id: str
    keys: dict[str, ClientKey]
    jwks_is_reachable: bool = True


def load_or_create_key(path: Path) -> ClientKey:
    """Return the key stored in the file *path*; generate and store one if it does not exist."""
    if path.exists():
        return ClientKey(path.read_bytes())
    key = ClientKey()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(key.pem)
    return key


ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CONTENT_TYPE = "application/x-www-form-urlencoded"
MAX_ASSERTION_SECONDS = 310
JTI_RETENTION = timedelta(days=30)

_HERE = "in client_assertion JWT"


class TokenRequestRefused(Exception):
    """The token endpoint refuses a request."""

    def __init__(
        self, status: HTTPStatus, description: str, error: str = "invalid_request"
    ) -> None:
        """Respond with *status*, the OAuth *error* and its *description*."""
        self.status = status
        self.error = error
        self.description = description
        super().__init__(error)


class AssertionValidator:
    """Validates signed assertions and rejects replays of a `jti`."""

    def __init__(self, clients: Mapping[str, OAuthClient], clock: Clock) -> None:
        """Accept assertions of *clients*, given by their ids."""
        self._clients = clients
        self._clock = clock
        self._seen_jtis: dict[tuple[str, str], datetime] = {}

    def validate(self, content_type: str, form: Mapping[str, str], url: str) -> str:
        """Return the id of the client that requests a token at *url*.

        Raises:
            TokenRequestRefused: the request or its assertion is invalid.
        """
        _check_request(content_type, form)
        header, claims = _decode(form["client_assertion"])
        now = self._clock.now().timestamp()
        _check_header(header, claims, now)
        _check_claims(claims)
        self._check_replay(claims, now)
        client = self._find_client(str(claims["iss"]))
        _check_signature(client, header, claims, form["client_assertion"], url)
        return client.id

    def _check_replay(self, claims: Mapping[str, Any], now: float) -> None:
        jti = claims.get("jti")
        if jti is None:
            raise _bad_request(f"Missing 'jti' claim {_HERE}")
        if not isinstance(jti, str) or not jti:
            raise _bad_request(
                f"Invalid 'jti' claim {_HERE} - must be a unique string value such as a GUID"
            )
        moment = self._clock.now()
        last_use = self._seen_jtis.get((claims["iss"], jti))
        if last_use is not None and moment - last_use < JTI_RETENTION:
            raise _bad_request(f"Non-unique 'jti' claim {_HERE}")
        if claims["exp"] > now + MAX_ASSERTION_SECONDS:
            raise _bad_request(f"Invalid 'exp' claim {_HERE} - more than 5 minutes in future")
        # The `jti` is used from here on, even if a later check fails.
        self._seen_jtis[claims["iss"], jti] = moment

    def _find_client(self, issuer: str) -> OAuthClient:
        client = self._clients.get(issuer)
        if client is None:
            raise TokenRequestRefused(
                HTTPStatus.UNAUTHORIZED, f"Invalid 'iss'/'sub' claims {_HERE}"
            )
        if not client.keys:
            raise TokenRequestRefused(
                HTTPStatus.FORBIDDEN,
                "You need to register a public key to use this authentication method",
                "public_key error",
            )
        if not client.jwks_is_reachable:
            raise TokenRequestRefused(
                HTTPStatus.FORBIDDEN,
                "The JWKS endpoint, for your client_assertion can't be reached",
                "public_key error",
            )
        return client


def _check_request(content_type: str, form: Mapping[str, str]) -> None:
    if content_type != CONTENT_TYPE:
        raise TokenRequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type header must be {CONTENT_TYPE}"
        )
    if "grant_type" not in form:
        raise _bad_request("grant_type is missing")
    if form["grant_type"] != "client_credentials":
        raise TokenRequestRefused(
            HTTPStatus.BAD_REQUEST, "grant_type is invalid", "unsupported_grant_type"
        )
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise _bad_request(f"Missing or invalid client_assertion_type - must be '{ASSERTION_TYPE}'")
    if not form.get("client_assertion"):
        raise _bad_request("Missing client_assertion")


def _decode(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = assertion.split(".")
    try:
        header, claims, _ = (urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts)
        shape = dict[str, Any]
        return msgspec.json.decode(header, type=shape), msgspec.json.decode(claims, type=shape)
    except (ValueError, msgspec.DecodeError) as error:
        raise _bad_request("Malformed JWT in client_assertion") from error


def _check_header(header: Mapping[str, Any], claims: Mapping[str, Any], now: float) -> None:
    if header.get("alg") != "RS512":
        raise _bad_request(
            f"Invalid 'alg' header {_HERE} - unsupported JWT algorithm - must be 'RS512'"
        )
    expires = claims.get("exp")
    if isinstance(expires, int | float) and expires <= now:
        raise _bad_request(f"Invalid 'exp' claim {_HERE} - JWT has expired")
    if "kid" not in header:
        raise _bad_request(f"Missing 'kid' header {_HERE}")
    if str(header.get("typ", "")).upper() != "JWT":
        raise _bad_request(f"Invalid 'typ' header {_HERE} - must be 'JWT'")


def _check_claims(claims: Mapping[str, Any]) -> None:
    if "exp" not in claims:
        raise _bad_request(f"Missing 'exp' claim {_HERE}")
    if not isinstance(claims["exp"], int) or isinstance(claims["exp"], bool):
        raise _bad_request(f"Invalid 'exp' claim {_HERE} - must be an integer")
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer != claims.get("sub"):
        raise _bad_request(f"Missing or non-matching 'iss'/'sub' claims {_HERE}")


def _check_signature(
    client: OAuthClient,
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    assertion: str,
    url: str,
) -> None:
    key = client.keys.get(str(header["kid"]))
    if key is None:
        raise TokenRequestRefused(
            HTTPStatus.UNAUTHORIZED, f"Invalid 'kid' header {_HERE} - no matching public key"
        )
    try:
        PyJWS(algorithms=["RS512"]).decode(assertion, key.public, algorithms=["RS512"])
    except InvalidTokenError as error:
        raise TokenRequestRefused(
            HTTPStatus.UNAUTHORIZED, "JWT signature verification failed", "public_key error"
        ) from error
    if claims.get("aud") != url:
        raise TokenRequestRefused(
            HTTPStatus.UNAUTHORIZED, f"Missing or invalid 'aud' claim {_HERE}"
        )


def _bad_request(description: str) -> TokenRequestRefused:
    return TokenRequestRefused(HTTPStatus.BAD_REQUEST, description)


TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path
TOKEN_LIFETIME_SECONDS = 600


class AccessTokenStore:
    """Access tokens that were issued, with their expiry."""

    def __init__(self, clock: Clock) -> None:
        """Expire tokens by *clock*."""
        self._clock = clock
        self._expires_at: dict[str, datetime] = {}
        self.issued_count = 0

    def issue(self, life_seconds: float) -> str:
        """Issue a token."""
        token = secrets.token_urlsafe(21)
        self._expires_at[token] = self._clock.now() + timedelta(seconds=life_seconds)
        self.issued_count += 1
        return token

    def is_valid(self, token: str) -> bool:
        """Tell whether *token* was issued here and has not expired."""
        expires_at = self._expires_at.get(token)
        return expires_at is not None and self._clock.now() < expires_at

    def revoke_all(self) -> None:
        """Expire all tokens."""
        self._expires_at.clear()


def build_token_route(
    clients: Mapping[str, OAuthClient], tokens: AccessTokenStore, clock: Clock
) -> HTTPRouteHandler:
    """Return the route at which *clients* get *tokens*."""
    assertions = AssertionValidator(clients, clock)

    @post(TOKEN_PATH)
    async def token(request: Request[Any, Any, Any]) -> Response[bytes]:
        body = await request.body()
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        url = str(request.url).partition("?")[0]
        try:
            assertions.validate(request.headers.get("content-type", ""), form, url)
        except TokenRequestRefused as refusal:
            return _json_response(
                int(refusal.status),
                {
                    "error": refusal.error,
                    "error_description": refusal.description,
                    "message_id": f"rrt-{uuid4()}",
                },
            )
        lifetime = _parse_lifetime(form.get("_access_token_expiry_ms"))
        return _json_response(
            200,
            {
                "access_token": tokens.issue(lifetime),
                # The NHS sends strings, and one second less than the lifetime.
                "expires_in": str(int(lifetime) - 1),
                "token_type": "Bearer",
                "issued_at": str(int(clock.now().timestamp() * 1000)),
            },
        )

    return token


def _parse_lifetime(milliseconds: str | None) -> float:
    requested = (
        int(milliseconds) / 1000
        if milliseconds and milliseconds.isdecimal()
        else TOKEN_LIFETIME_SECONDS
    )
    return min(requested, TOKEN_LIFETIME_SECONDS)


def _json_response(status: int, content: Mapping[str, str]) -> Response[bytes]:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")
