"""Lists the encrypted columns of identity, for `govid keys reencrypt`."""

from collections.abc import Sequence

from govid.bus.shared.crypto import EncryptedColumn
from govid.identity.repository.facts import FactsSeal, encrypted_facts
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.keys import Seal, encrypted_private_keys


def encrypted_columns(settings: IdentitySettings) -> Sequence[EncryptedColumn]:
    """Return the columns that are encrypted under *settings*."""
    facts = encrypted_facts(FactsSeal(*settings.encryption_keys))
    seal = Seal.of(settings)
    return (facts,) if seal is None else (encrypted_private_keys(seal), facts)
