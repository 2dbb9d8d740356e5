"""Parses the compact serialisation of a signed token (JWS) strictly, without a signature check.

If two parsers read one token differently, a forged token may pass. Therefore only one encoding is
accepted: of base64url, of the members of an object, and of the number of parts.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec

MAX_BYTES = 4096

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class Malformed(ValueError):
    """The text is not a token that govid could have issued."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The header and the claims of a token, not yet verified."""

    header: dict[str, Any]
    claims: dict[str, Any]

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<JwsParts>"


def read(token: str) -> Parts:
    """Return the parts of *token*.

    Raises:
        MalformedToken: it is too long, does not have three parts, or a part is not strict
            base64url of one JSON object without duplicate members.
    """
    if len(token) > MAX_BYTES:
        raise Malformed("too long")
    header, _, rest = token.partition(".")
    claims, _, signature = rest.partition(".")
    decode(signature)
    return Parts(header=_object(decode(header)), claims=_object(decode(claims)))


def encode(raw: bytes) -> str:
    """Return *raw* in base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes that *text* encodes in base64url without padding.

    Raises:
        MalformedToken: another alphabet, padding, or unused bits at the end that are not zero.
    """
    if not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise Malformed("not base64url")
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(raw) != text:
        raise Malformed("not the canonical encoding of these bytes")
    return raw


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error
    if not isinstance(value, dict):
        raise Malformed("not an object")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a member occurs twice")
    return members


def _no_constant(_: str) -> None:
    raise Malformed("NaN and Infinity are not JSON")
