"""Identifiers as the history of accounts knows them: recognisable, not readable."""

from govid.bus import Pseudonyms
from govid.bus.contracts import IdentifierType
from govid.identity.repository.holders import Holder


class Digests:
    """Keyed digests of identifiers. They last as long as the key, which is kept for ever."""

    def __init__(self, key: bytes) -> None:
        """Use *key*, the one that also hides identifiers in the keys of events."""
        self._pseudonyms = Pseudonyms(key)

    def of(self, identifier_type: IdentifierType, canonical_value: str) -> str:
        """Return the digest of an identifier in its canonical form: 32 hexadecimal digits."""
        # Another word in front, so that it is no key of an event of the same identifier.
        return self._pseudonyms.of(f"life_event {identifier_type}:{canonical_value}")

    def of_holder(self, holder: Holder) -> str | None:
        """Return the digest of what *holder* is known by, or None if that was taken from them."""
        if holder.identifier_type is None or holder.identifier_value is None:
            return None
        return self.of(holder.identifier_type, holder.identifier_value)
