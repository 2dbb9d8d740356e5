"""Stable stand-ins for identifiers, for places where the identifier itself may not be seen."""

import hashlib
import hmac


class Pseudonyms:
    """Turns a personal value into one that only the holder of the key could guess.

    National Insurance numbers are few enough to be tried one by one, so a bare hash would hide
    nothing; a keyed one does (RFC 2104).
    """

    def __init__(self, key: bytes) -> None:
        """Use *key*, at least 32 bytes of it in production."""
        self._key = key

    def of(self, value: str) -> str:
        """Return the pseudonym of *value*: 32 hexadecimal digits (128 bits)."""
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:32]
