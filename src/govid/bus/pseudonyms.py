"""Keyed pseudonyms: stable substitutes for identifiers where those must not be visible."""

import hashlib
import hmac


class PseudonymGenerator:
    """Replaces a personal value by its HMAC (RFC 2104), which needs the secret key to compute.

    A plain hash would not hide a National Insurance number: there are few enough to try them all.
    """

    def __init__(self, key: bytes) -> None:
        """Use *key*, which has at least 32 bytes in production."""
        self._key = key

    def for_value(self, value: str) -> str:
        """Return the pseudonym of *value*: 32 hexadecimal digits (128 bits)."""
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:32]
