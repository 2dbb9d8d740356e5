"""The signing key: made once, stored encrypted, and only its public half is shown."""

import asyncio

import msgspec
import pytest

from govid.bus import Database
from govid.identity.repository.signing_keys import SigningKeyRepository
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.signing_keys import Keyring, UnreadableKey
from tests.integration.identity.conftest import SETTINGS, build_uow

SEALED = msgspec.structs.replace(SETTINGS, key_encryption_key=b"the operator's key, kept elsewhere")


async def loaded(database: Database, settings: IdentitySettings = SETTINGS) -> Keyring:
    keyring = Keyring(settings, build_uow(database), SigningKeyRepository())
    await keyring.load()
    return keyring


async def stored(database: Database) -> tuple[bytes, bool]:
    row = await database.reads.fetchrow("SELECT private_key, sealed FROM identity.signing_key")
    return row["private_key"], row["sealed"]


async def test_the_first_start_makes_the_key_and_the_next_finds_it(database: Database) -> None:
    first, second = await loaded(database), await loaded(database)
    assert first.signing.kid == second.signing.kid
    assert first.encode_jwks() == second.encode_jwks()


async def test_replicas_that_start_at_once_agree_on_one_key(database: Database) -> None:
    keyrings = await asyncio.gather(*(loaded(database) for _ in range(8)))
    assert len({keyring.signing.kid for keyring in keyrings}) == 1


async def test_the_key_set_holds_the_public_half_and_nothing_else(database: Database) -> None:
    keyring = await loaded(database)
    (key,) = msgspec.json.decode(keyring.encode_jwks())["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    assert key["kid"] == keyring.signing.kid


async def test_a_private_half_is_stored_encrypted(database: Database) -> None:
    first, second = await loaded(database, SEALED), await loaded(database, SEALED)
    private, sealed = await stored(database)
    assert sealed
    assert not private.startswith(b"\x30")
    assert first.signing.kid == second.signing.kid


async def test_a_key_from_before_encryption_is_encrypted_at_the_next_start(
    database: Database,
) -> None:
    open_one = await loaded(database)
    sealed_one = await loaded(database, SEALED)
    assert (await stored(database))[1]
    assert sealed_one.signing.kid == open_one.signing.kid
    assert (await loaded(database, SEALED)).signing.kid == open_one.signing.kid


@pytest.mark.parametrize("key_encryption_key", [None, b"another key"])
async def test_an_encrypted_key_cannot_be_decrypted_by_another(
    database: Database, key_encryption_key: bytes | None
) -> None:
    await loaded(database, SEALED)
    with pytest.raises(UnreadableKey, match="GOVID_KEY_ENCRYPTION_KEY"):
        await loaded(
            database, msgspec.structs.replace(SETTINGS, key_encryption_key=key_encryption_key)
        )


async def test_a_shared_secret_is_never_shown(database: Database) -> None:
    settings = msgspec.structs.replace(SETTINGS, algorithm="HS256", secret_key=b"s" * 32)
    assert (await loaded(database, settings)).encode_jwks() == b'{"keys":[]}'
