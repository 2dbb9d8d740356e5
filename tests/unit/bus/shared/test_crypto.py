"""Encryption of columns: today's bytes, several keys, and check values that tell no key."""

from uuid import UUID

import pytest

from govid.bus.shared.crypto import AuthenticatedCipher, KeyMissing, NotDecryptable, compute_key_id

KEY, OLD, OTHER = b"k" * 32, b"o" * 32, b"x" * 32
ACCOUNT = UUID(int=7)
STORED = [
    pytest.param(
        b"govid claimed facts",
        ACCOUNT.bytes,
        "b342e98fbd85b335b287a6142d33d618eb39a821762d5b38eed9d9289e4287b5e1f22ac206b1bc781c86753aee"
        "d3d62019bc75d942448645e9f7bdc47427863e6c3d9091a773fc2faa9a78f5ca52bf9f08d30795b1a5d27167c8"
        "8bb0ebe9dbd70effba09420b110ef7dc54b2731019",
        b'{"given_name":"Ada","family_name":"L","date_of_birth":"1990-12-10","postcode":null}',
        id="facts",
    ),
    pytest.param(
        b"govid signing key",
        b"kid-1",
        "3319bb8c79afc5b411132518b31a870eb52be2d32917e000bf1708b41028e1598a99a0",
        b"private",
        id="signing key",
    ),
    pytest.param(
        b"govid hmrc consents",
        b"holding" + ACCOUNT.bytes,
        "4693ea65fb79b5af22964c770e5fd0730068853494180519c68ca3821ee67ec307a7",
        b"canary",
        id="consent",
    ),
]


@pytest.mark.parametrize(("purpose", "context", "stored", "plain"), STORED)
def test_what_an_earlier_release_encrypted_is_decrypted(
    purpose: bytes, context: bytes, stored: str, plain: bytes
) -> None:
    cipher = AuthenticatedCipher([KEY], purpose)
    assert cipher.decrypt(bytes.fromhex(stored), context) == plain


@pytest.mark.parametrize(("purpose", "context", "stored", "plain"), STORED)
def test_c11_an_older_key_decrypts_and_the_newest_encrypts_anew(
    purpose: bytes, context: bytes, stored: str, plain: bytes
) -> None:
    cipher = AuthenticatedCipher([OTHER, KEY], purpose)
    renewed = cipher.reencrypt(bytes.fromhex(stored), context)
    assert renewed is not None
    assert AuthenticatedCipher([OTHER], purpose).decrypt(renewed, context) == plain
    assert cipher.reencrypt(renewed, context) is None


@pytest.mark.parametrize("keys", [[OTHER], [OTHER, OLD]])
def test_c11_what_no_key_fits_is_not_decrypted(keys: list[bytes]) -> None:
    sealed = AuthenticatedCipher([KEY], b"purpose").encrypt(b"plain", b"context")
    with pytest.raises(NotDecryptable):
        AuthenticatedCipher(keys, b"purpose").decrypt(sealed, b"context")


@pytest.mark.parametrize(("purpose", "context"), [(b"other", b"context"), (b"purpose", b"other")])
def test_a_value_of_another_purpose_or_row_is_not_decrypted(purpose: bytes, context: bytes) -> None:
    sealed = AuthenticatedCipher([KEY], b"purpose").encrypt(b"plain", b"context")
    with pytest.raises(NotDecryptable):
        AuthenticatedCipher([KEY], purpose).decrypt(sealed, context)


@pytest.mark.parametrize("keys", [[], [b""], [b"", b""]])
def test_without_a_key_nothing_is_encrypted(keys: list[bytes]) -> None:
    with pytest.raises(KeyMissing):
        AuthenticatedCipher(keys, b"purpose").encrypt(b"plain", b"context")


def test_c11_check_values_differ_by_key_and_purpose() -> None:
    found = {
        compute_key_id(key, purpose)
        for key in (KEY, OLD)
        for purpose in ("encryption", "pseudonym")
    }
    assert len(found) == 4
    assert {len(one) for one in found} == {16}
