"""Makes keyed digests of identifiers: recognisable to govid, readable to no one.

The history of accounts and the counters of attempts name identifiers by these digests. A digest
cannot be turned back, so rows of older forms and older keys stay until a lookup finds them: each
lookup asks for the current digest and for all older ones, and rewrites what it finds (ADR-0025).
"""

from govid.bus import Pseudonyms
from govid.bus.contracts import IdentifierType
from govid.bus.shared.identifiers import identity_key, whole_values
from govid.identity.repository.digest_rows import IdentifierDigest
from govid.identity.repository.holders import Holder


class IdentifierDigests:
    """Makes digests under the newest key, and those that older rows may have."""

    def __init__(self, *keys: bytes) -> None:
        """Use *keys*, newest first: the ones that also hide identifiers in the keys of events."""
        self._newest, *self._older = (Pseudonyms(key) for key in keys)

    def for_identifier(
        self, identifier_type: IdentifierType, canonical_value: str
    ) -> IdentifierDigest:
        """Return the digest of an identifier in canonical form, or of its identity key."""
        key = identity_key(identifier_type, canonical_value)
        # Earlier releases made digests of a National Insurance number with its last letter.
        former = [value for value in whole_values(identifier_type, key) if value != key]
        current = _digest(self._newest, identifier_type, key)
        older = [_digest(self._newest, identifier_type, value) for value in former]
        for pseudonyms in self._older:
            older += [_digest(pseudonyms, identifier_type, value) for value in (key, *former)]
        return IdentifierDigest(current=current, older=tuple(older))

    def for_holder(self, holder: Holder) -> IdentifierDigest | None:
        """Return the digest of the identifier that *holder* holds, or None if it holds none."""
        if holder.identifier_type is None or holder.identifier_value is None:
            return None
        return self.for_identifier(holder.identifier_type, holder.identifier_value)


def _digest(pseudonyms: Pseudonyms, identifier_type: IdentifierType, value: str) -> str:
    # The prefix keeps it apart from the key of an event about the same identifier.
    return pseudonyms.of(f"life_event {identifier_type}:{value}")
