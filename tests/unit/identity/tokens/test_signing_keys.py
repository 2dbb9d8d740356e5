"""Signing keys: their ids, their encryption, and that they are never shown."""

import msgspec
import pytest

from govid.identity.schemas import Login, TokenView
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.signing_keys import (
    SigningKeyCipher,
    UnreadableKey,
    generate_signing_key,
    load_shared_secret,
    load_signing_key,
    thumbprint,
)


def test_the_thumbprint_is_that_of_rfc_7638_for_this_key() -> None:
    # The example key of RFC 7517, appendix A.1.
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    }
    assert thumbprint(jwk) == "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"


def test_a_key_is_named_by_its_thumbprint() -> None:
    key = load_signing_key(generate_signing_key())
    assert key.jwk is not None
    required = {name: key.jwk[name] for name in ("kty", "crv", "x", "y")}
    assert key.kid == thumbprint(required)


def test_what_is_encrypted_can_be_decrypted_again() -> None:
    key, seal = generate_signing_key(), SigningKeyCipher(b"the operator's")
    assert seal.decrypt(seal.encrypt(key)) == key


def test_nothing_of_the_private_half_shows_through_the_encryption() -> None:
    key = generate_signing_key()
    assert key.private_key not in SigningKeyCipher(b"the operator's").encrypt(key).private_key


def test_two_seals_of_one_key_are_not_alike() -> None:
    key, seal = generate_signing_key(), SigningKeyCipher(b"the operator's")
    assert seal.encrypt(key).private_key != seal.encrypt(key).private_key


def test_an_encrypted_key_under_another_name_cannot_be_decrypted() -> None:
    seal = SigningKeyCipher(b"the operator's")
    moved = msgspec.structs.replace(seal.encrypt(generate_signing_key()), kid="another")
    with pytest.raises(UnreadableKey):
        seal.decrypt(moved)


def test_i9_secrets_do_not_show_in_reprs() -> None:
    secret = "canary-secret"
    key = generate_signing_key()
    things = [
        IdentitySettings(
            issuer="i", secret_key=secret.encode(), key_encryption_key=secret.encode()
        ),
        Login(email=secret, password=secret),
        TokenView(access_token=secret),
        load_shared_secret(secret.encode()),
        msgspec.structs.replace(key, private_key=secret.encode()),
    ]
    assert secret not in repr(things)
