"""Access tokens: how they are signed, and when one is believed.

A token only identifies. Whether its session lives and its account may act is read from the
database at every request.

Source: RFC 9068 (the profile), RFC 8725 (the mistakes not to make).
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
from govid.identity.settings import SKEW_SECONDS
from govid.identity.tokens import jws
from govid.identity.tokens.keyring import Keyring

AUDIENCE: Literal["govid-api"] = "govid-api"
TYPE = "at+jwt"
SCOPE = "govid"
REMEMBERED = 10_000
JTI_BYTES = 16

_HEADER = {"alg", "typ", "kid"}

Seconds = Annotated[int, Meta(gt=0, lt=2**53)]
"""Seconds since 1970, and never a float, a text or a number that JSON readers round."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of an access token, all of them required. None is personal but the id."""

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


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a token names, and until when it may be believed."""

    account_id: UUID
    session_id: UUID
    kid: str
    until: datetime


class Tokens:
    """Issues and verifies access tokens."""

    def __init__(self, keyring: Keyring, clock: Clock, *, issuer: str, lifetime: int) -> None:
        """Sign with the keys of *keyring*, in the name of *issuer*.

        No token lives longer than *lifetime*, in seconds; a longer one is not believed either.
        """
        self._keyring = keyring
        self._clock = clock
        self._issuer = issuer
        self._lifetime = lifetime
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()

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
        """Return a signed token for the session, of that *lifetime* unless it would be too long."""
        now = int(self._clock.now().timestamp())
        key = self._keyring.signing
        claims = Claims(
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

    def verify(self, token: str) -> Verified:
        """Return whom *token* names.

        A good signature is remembered until its token expires or its key is retired, as checking
        one costs more than the rest of a read; the memory holds digests only, and a bounded number.

        Raises:
            InvalidToken: for whatever reason; all of them look the same.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is None:
            known = self._examine(token)
            self._remember(digest, known)
        if known.until <= self._clock.now() or self._keyring.find(known.kid) is None:
            self._verified.pop(digest, None)
            raise InvalidToken
        return known

    def _examine(self, token: str) -> Verified:
        try:
            parts = jws.read(token)
            if parts.header.keys() != _HEADER or parts.header["typ"] != TYPE:
                raise InvalidToken
            key = self._keyring.find(parts.header["kid"])
            if key is None or parts.header["alg"] != key.algorithm:
                raise InvalidToken
            # The shape comes before the library's own look, which would trip over some of these.
            claims = msgspec.convert(parts.claims, Claims)
            jwt.decode(
                token,
                key.verifying,
                algorithms=[key.algorithm],
                audience=AUDIENCE,
                issuer=self._issuer,
                leeway=SKEW_SECONDS,
                options={"require": list(Claims.__struct_fields__), "strict_aud": True},
            )
        except (jws.Malformed, msgspec.ValidationError, jwt.PyJWTError) as error:
            raise InvalidToken from error
        if not 0 < claims.exp - claims.iat <= self._lifetime:
            raise InvalidToken
        until = datetime.fromtimestamp(claims.exp, UTC) + timedelta(seconds=SKEW_SECONDS)
        return Verified(account_id=claims.sub, session_id=claims.sid, kid=key.kid, until=until)

    def _remember(self, digest: bytes, verified: Verified) -> None:
        if len(self._verified) >= REMEMBERED:
            self._verified.popitem(last=False)
        self._verified[digest] = verified
