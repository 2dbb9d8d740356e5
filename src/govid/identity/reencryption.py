"""Lists the encrypted columns of identity, for `govid keys reencrypt`."""

from collections.abc import Sequence

from govid.bus.shared.crypto import EncryptedColumn
from govid.identity.repository.claimed_facts import ClaimedFactsCipher, claimed_facts_column
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.signing_keys import SigningKeyCipher, private_key_column


def encrypted_columns(settings: IdentitySettings) -> Sequence[EncryptedColumn]:
    """Return the columns that are encrypted under *settings*."""
    facts_column = claimed_facts_column(ClaimedFactsCipher(*settings.encryption_keys))
    key_cipher = SigningKeyCipher.from_settings(settings)
    return (facts_column,) if key_cipher is None else (private_key_column(key_cipher), facts_column)
