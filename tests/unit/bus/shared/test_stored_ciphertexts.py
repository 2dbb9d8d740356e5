"""Ciphertexts that were stored before the ciphers shared one implementation can still be read.

The bytes were made by the code of commit 7b79627 under `KEY`, with fixed nonces.
"""

from datetime import date
from uuid import UUID

import pytest

from govid.bus.shared.identifiers import ClaimedFacts
from govid.hmrc.repository import ConsentCipher
from govid.identity.repository.claimed_facts import ClaimedFactsCipher
from govid.identity.repository.signing_keys import StoredKey
from govid.identity.tokens.signing_keys import SigningKeyCipher

KEY = b"a key of the operator, for tests"
NEWER = b"a newer key of the operator"
ACCOUNT = UUID(int=1)
SIGNING_KEY = "a1a1a1a1a1a1a1a1a1a1a1a15011db2356a2b9fb27a5c0fe5d13a26ac5c4b06ea8af63d27e0c6c"
CLAIMED_FACTS = (
    "b2b2b2b2b2b2b2b2b2b2b2b2349e4f11a9d2704fe98fef361601fca1898ee2d44cc249af0273c15626b5e778449a6a"
    "5c3ac610353145643b24dacb7640287f2da41b5014a5ed37e8b777779791b10c9ba121d1e419c4b07b960517038102"
    "e44fbbc77f02d474c3afe6aa24f1f80b4eea43ac36c8e0fcec09ed3637ab"
)
CONSENT_TOKENS = "c3c3c3c3c3c3c3c3c3c3c3c3bd6862f692f3b88c12e9bb9ba6d4ac85cd4db60358e4"
CONSENT_VERIFIER = "d4d4d4d4d4d4d4d4d4d4d4d43e58981534e2dd707fb3784983083c6076317f75b098ba3b"


@pytest.fixture(params=[(KEY,), (NEWER, KEY)], ids=["the key", "after a change of the key"])
def keys(request: pytest.FixtureRequest) -> tuple[bytes, ...]:
    found: tuple[bytes, ...] = request.param
    return found


def test_a_stored_signing_key_is_decrypted(keys: tuple[bytes, ...]) -> None:
    stored = StoredKey(
        kid="key-id", public_key=b"public", private_key=bytes.fromhex(SIGNING_KEY), sealed=True
    )
    assert SigningKeyCipher(*keys).decrypt(stored).private_key == b"private key"


def test_stored_claimed_facts_are_decrypted(keys: tuple[bytes, ...]) -> None:
    found = ClaimedFactsCipher(*keys).decrypt(ACCOUNT, bytes.fromhex(CLAIMED_FACTS))
    assert found == ClaimedFacts(
        given_name="Ada",
        family_name="Lovelace",
        date_of_birth=date(1990, 12, 10),
        postcode="SW1A 1AA",
    )


@pytest.mark.parametrize(
    ("purpose", "stored", "plain"),
    [(b"holding", CONSENT_TOKENS, b"tokens"), (b"proof", CONSENT_VERIFIER, b"verifier")],
)
def test_stored_consent_values_are_decrypted(
    keys: tuple[bytes, ...], purpose: bytes, stored: str, plain: bytes
) -> None:
    cipher = ConsentCipher(*keys)
    assert cipher.decrypt(ACCOUNT, purpose, bytes.fromhex(stored)) == plain
