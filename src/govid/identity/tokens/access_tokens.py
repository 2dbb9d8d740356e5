"""Signs and verifies access tokens (JWT).

A token only identifies a session and an account. Whether the session is live and the account may
act is read from the database at every request.

Source: RFC 9068 (the profile), RFC 8725 (best current practices).
"""

import hashlib
import secrets
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import jwt
import msgspec
from msgspec import Meta

from govid.bus import Clock
from govid.identity.errors import InvalidToken
from govid.identity.settings import CLOCK_SKEW_SECONDS
from govid.identity.tokens import jws
from govid.identity.tokens.signing_keys import Keyring

AUDIENCE: Literal["govid-api"] = "govid-api"
TYPE = "at+jwt"
SCOPE = "govid"
MAX_CACHED = 10_000
JTI_BYTES = 16

_HEADER = {"alg", "typ", "kid"}

Seconds = Annotated[int, Meta(gt=0, lt=2**53)]
"""Seconds since 1970; a float, a text or a number that JSON readers round is invalid."""


class AccessTokenClaims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of an access token, all required. Only the account id is personal data."""

    iss: str
    sub: UUID
    aud: Literal["govid-api"]
    client_id: str
    iat: Seconds
    nbf: Seconds
    exp: Seconds
    auth_time: Seconds
    jti: str
    sid: UUID
    acr: str
    scope: str


class VerifiedToken(msgspec.Struct, frozen=True, kw_only=True):
    """The account and session of a verified token, and until when it is valid."""

    account_id: UUID
    session_id: UUID
    kid: str
    valid_until: datetime


class AccessTokens:
    """Issues and verifies access tokens."""

    def __init__(self, keyring: Keyring, clock: Clock, *, issuer: str, lifetime: int) -> None:
        """Sign with the active key of *keyring* and name *issuer*.

        No token is issued with a longer lifetime than *lifetime*, in seconds, or accepted with one.
        """
        self._keyring = keyring
        self._clock = clock
        self._issuer = issuer
        self._lifetime = lifetime
        self._verified_tokens: OrderedDict[bytes, VerifiedToken] = OrderedDict()

    def issue(
        self,
        *,
        account_id: UUID,
        session_id: UUID,
        client_id: str,
        acr: str,
        auth_time: datetime,
        lifetime: int | None = None,
    ) -> str:
        """Return a signed token for the session; *lifetime* is capped at the maximum."""
        now = int(self._clock.now().timestamp())
        key = self._keyring.signing
        claims = AccessTokenClaims(
            iss=self._issuer,
            sub=account_id,
            aud=AUDIENCE,
            client_id=client_id,
            iat=now,
            nbf=now,
            exp=now + min(lifetime or self._lifetime, self._lifetime),
            auth_time=int(auth_time.timestamp()),
            jti=secrets.token_urlsafe(JTI_BYTES),
            sid=session_id,
            acr=acr,
            scope=SCOPE,
        )
        return jwt.encode(
            msgspec.to_builtins(claims),
            key.signing,
            algorithm=key.algorithm,
            headers={"typ": TYPE, "kid": key.kid},
        )

    def verify(self, token: str) -> VerifiedToken:
        """Return the account and session of *token*.

        A verified signature is cached until its token expires or its key is retired, because the
        check costs more than the rest of a read. The cache is bounded and holds digests only.

        Raises:
            InvalidToken: the token is not valid; the error is the same for every reason.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verified = self._verified_tokens.get(digest)
        if verified is None:
            verified = self._verify_uncached(token)
            self._cache(digest, verified)
        if (
            verified.valid_until <= self._clock.now()
            or self._keyring.find_key(verified.kid) is None
        ):
            self._verified_tokens.pop(digest, None)
            raise InvalidToken
        return verified

    def _verify_uncached(self, token: str) -> VerifiedToken:
        try:
            parts = jws.parse_token(token)
            if parts.header.keys() != _HEADER or parts.header["typ"] != TYPE:
                raise InvalidToken
            key = self._keyring.find_key(parts.header["kid"])
            if key is None or parts.header["alg"] != key.algorithm:
                raise InvalidToken
            # The shape is checked first, because the library fails on some malformed claims.
            claims = msgspec.convert(parts.claims, AccessTokenClaims)
            jwt.decode(
                token,
                key.verifying,
                algorithms=[key.algorithm],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": list(AccessTokenClaims.__struct_fields__), "strict_aud": True},
            )
        except (jws.MalformedToken, msgspec.ValidationError, jwt.PyJWTError) as error:
            raise InvalidToken from error
        if not 0 < claims.exp - claims.iat <= self._lifetime:
            raise InvalidToken
        valid_until = datetime.fromtimestamp(claims.exp, UTC) + timedelta(
            seconds=CLOCK_SKEW_SECONDS
        )
        return VerifiedToken(
            account_id=claims.sub, session_id=claims.sid, kid=key.kid, valid_until=valid_until
        )

    def _cache(self, digest: bytes, verified: VerifiedToken) -> None:
        if len(self._verified_tokens) >= MAX_CACHED:
            self._verified_tokens.popitem(last=False)
        self._verified_tokens[digest] = verified
