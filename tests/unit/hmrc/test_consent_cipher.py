"""What is encrypted cannot be decrypted for another account, in another place, or once changed."""

from uuid import UUID

import pytest

from govid.hmrc.repository import ConsentCipher
from govid.hmrc.repository.consents import UnreadableConsent

ACCOUNT, OTHER = UUID(int=1), UUID(int=2)
KEY = b"a key for tests, 32 bytes or more"


@pytest.fixture
def sealed() -> bytes:
    return ConsentCipher(KEY).encrypt(ACCOUNT, b"holding", b"canary")


def test_what_was_encrypted_can_be_decrypted(sealed: bytes) -> None:
    assert ConsentCipher(KEY).decrypt(ACCOUNT, b"holding", sealed) == b"canary"


def test_it_is_different_each_time(sealed: bytes) -> None:
    again = ConsentCipher(KEY).encrypt(ACCOUNT, b"holding", b"canary")
    assert again != sealed
    assert b"canary" not in sealed + again


@pytest.mark.parametrize(
    ("key", "account", "purpose"),
    [
        (b"another key of 32 bytes or more!!", ACCOUNT, b"holding"),
        (KEY, OTHER, b"holding"),
        (KEY, ACCOUNT, b"proof"),
    ],
)
def test_under_another_key_or_for_something_else_it_stays_shut(
    sealed: bytes, key: bytes, account: UUID, purpose: bytes
) -> None:
    with pytest.raises(UnreadableConsent, match="GOVID_KEY_ENCRYPTION_KEY"):
        ConsentCipher(key).decrypt(account, purpose, sealed)


@pytest.mark.parametrize("at", [0, 12, -1])
def test_what_was_touched_stays_shut(sealed: bytes, at: int) -> None:
    touched = bytearray(sealed)
    touched[at] ^= 1
    with pytest.raises(UnreadableConsent):
        ConsentCipher(KEY).decrypt(ACCOUNT, b"holding", bytes(touched))


def test_of_no_key_there_is_no_encryption() -> None:
    with pytest.raises(UnreadableConsent):
        ConsentCipher(b"").encrypt(ACCOUNT, b"holding", b"canary")


def test_what_cannot_be_opened_is_not_found_and_the_operator_is_notified(
    sealed: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert ConsentCipher(KEY).decrypt_or_none(ACCOUNT, b"holding", sealed) == b"canary"
    assert ConsentCipher(KEY).decrypt_or_none(ACCOUNT, b"holding", None) is None
    assert caplog.messages == []
    assert ConsentCipher(b"another").decrypt_or_none(ACCOUNT, b"holding", sealed) is None
    assert ConsentCipher(b"").decrypt_or_none(ACCOUNT, b"holding", sealed) is None
    assert caplog.messages == ["hmrc.consent_not_opened", "hmrc.consent_not_opened"]
