"""Computes keyed digests of identifiers, by which govid compares identifiers without storing them.

The history of accounts and the counters of verification attempts refer to identifiers by these
digests. A digest cannot be reversed, so rows with a digest of an older form or an older key stay
until a lookup finds them. Each lookup asks for the current digest and all older ones, and rewrites
the rows that it finds (ADR-0025).
"""

from govid.bus import PseudonymGenerator
from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import identity_key, values_with_key
from govid.identity.repository.account_status import AccountHolder
from govid.identity.repository.identifier_digests import IdentifierDigest


class IdentifierDigests:
    """Computes the digest under the newest key and the digests that older rows may contain."""

    def __init__(self, *keys: bytes) -> None:
        """Use the pseudonym *keys*, newest first. They also hide identifiers in event keys."""
        self._newest, *self._older = (PseudonymGenerator(key) for key in keys)

    def for_identifier(
        self, identifier_type: IdentifierType, canonical_value: str
    ) -> IdentifierDigest:
        """Return the digest of an identifier in canonical form, or of its identity key."""
        key = identity_key(identifier_type, canonical_value)
        # Earlier releases included the last letter of a National Insurance number in the digest.
        former = [value for value in values_with_key(identifier_type, key) if value != key]
        current = _digest(self._newest, identifier_type, key)
        older = [_digest(self._newest, identifier_type, value) for value in former]
        for pseudonyms in self._older:
            older += [_digest(pseudonyms, identifier_type, value) for value in (key, *former)]
        return IdentifierDigest(current=current, older=tuple(older))

    def for_holder(self, holder: AccountHolder) -> IdentifierDigest | None:
        """Return the digest of the identifier of *holder*, or None if the account has none."""
        if holder.identifier_type is None or holder.identifier_value is None:
            return None
        return self.for_identifier(holder.identifier_type, holder.identifier_value)


def _digest(pseudonyms: PseudonymGenerator, identifier_type: IdentifierType, value: str) -> str:
    # The prefix makes it differ from the key of an event about the same identifier.
    return pseudonyms.for_value(f"life_event {identifier_type}:{value}")
