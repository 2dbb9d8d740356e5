"""Lists the encrypted columns of the HMRC module, for `govid keys reencrypt`."""

from govid.bus.shared.crypto import EncryptedColumn
from govid.hmrc.repository.consent_requests import VERIFIER_PURPOSE
from govid.hmrc.repository.consents import TOKENS_PURPOSE
from govid.hmrc.seal import Seal
from govid.hmrc.settings import HmrcSettings


def encrypted_columns(settings: HmrcSettings) -> tuple[EncryptedColumn, ...]:
    """Return the columns that are encrypted under the keys of *settings*."""
    cipher = Seal(settings.sealing_key, *settings.old_sealing_keys).cipher
    return (
        EncryptedColumn(
            table="hmrc.consent",
            key="account_id",
            value="sealed",
            condition="sealed IS NOT NULL",
            cipher=cipher,
            context=lambda account_id: TOKENS_PURPOSE + bytes(account_id.bytes),
        ),
        EncryptedColumn(
            table="hmrc.consent_request",
            key="account_id",
            value="sealed_proof",
            condition="true",
            cipher=cipher,
            context=lambda account_id: VERIFIER_PURPOSE + bytes(account_id.bytes),
        ),
    )
