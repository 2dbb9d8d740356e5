"""Parses the compact serialisation of a signed token (JWS) strictly, without a signature check.

If two parsers read one token differently, a forged token may pass. Therefore only one encoding is
accepted: of base64url, of the members of an object, and of the number of parts.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from govid.bus.shared.privacy import RedactedStruct

MAX_BYTES = 4096

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class MalformedToken(ValueError):
    """The text is not a token that govid could have issued."""


class JwsParts(RedactedStruct, frozen=True, kw_only=True):
    """The header and the claims of a token, not yet verified."""

    header: dict[str, Any]
    claims: dict[str, Any]


def parse_token(token: str) -> JwsParts:
    """Return the parts of *token*.

    Raises:
        MalformedToken: it is too long, does not have three parts, or a part is not strict
            base64url of one JSON object without duplicate members.
    """
    if len(token) > MAX_BYTES:
        raise MalformedToken("too long")
    header, _, rest = token.partition(".")
    claims, _, signature = rest.partition(".")
    decode_base64url(signature)
    return JwsParts(
        header=_parse_object(decode_base64url(header)),
        claims=_parse_object(decode_base64url(claims)),
    )


def encode_base64url(raw: bytes) -> str:
    """Return *raw* in base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """Return the bytes that *text* encodes in base64url without padding.

    Raises:
        MalformedToken: another alphabet, padding, or unused bits at the end that are not zero.
    """
    if not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise MalformedToken("not base64url")
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode_base64url(raw) != text:
        raise MalformedToken("not the canonical encoding of these bytes")
    return raw


def _parse_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=_unique_members, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise MalformedToken("not JSON") from error
    if not isinstance(value, dict):
        raise MalformedToken("not an object")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedToken("a member occurs twice")
    return members


def _refuse_constant(_: str) -> None:
    raise MalformedToken("NaN and Infinity are not JSON")
