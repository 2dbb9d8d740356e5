"""Makes tokens that govid would not make, with the right key or a wrong one."""

import base64
import json
from typing import Any

import jwt

SECRET = "a shared secret of 32 bytes or so"


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of *token*."""
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def signed(header: dict[str, Any] | str, claims: dict[str, Any] | str, key: bytes | str) -> str:
    """Return a token with an HMAC-SHA-256 of *key*, over texts that may be no proper JSON."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in (header, claims)]
    signing_input = ".".join(encode(text.encode()) for text in texts)
    algorithm = jwt.get_algorithm_by_name("HS256")
    secret = key.encode() if isinstance(key, str) else key
    # Past the library's refusal of keys that are public ones: an attacker has no such scruples.
    signature = algorithm.sign(signing_input.encode(), secret)
    return f"{signing_input}.{encode(signature)}"
