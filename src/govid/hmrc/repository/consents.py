"""Stores consent requests, and the consents that were given at HMRC with their consent tokens.

PKCE verifiers, references and tokens are stored encrypted, states as digests. Times are the
database's, so that all replicas agree on them.
"""

import logging
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Sequence, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from govid.bus import Transaction
from govid.bus.shared.crypto import (
    AuthenticatedCipher,
    EncryptedColumn,
    KeyMissing,
    NotDecryptable,
)
from govid.bus.shared.privacy import RedactedStruct
from govid.hmrc.models import Consent, ConsentRequest
from govid.hmrc.settings import HmrcSettings

log = logging.getLogger(__name__)

CONSENT_KEY_PURPOSE = b"govid hmrc consents"

REQUEST_LIFETIME = timedelta(minutes=10)
"""The lifetime of HMRC's code."""
CALL_GRACE_PERIOD = timedelta(minutes=1)
"""Longer than a call to HMRC can take that starts at the last moment."""

VERIFIER_PURPOSE = b"proof"


class UnreadableConsent(RuntimeError):
    """A stored consent cannot be decrypted: GOVID_KEY_ENCRYPTION_KEY is missing or different."""


class ConsentCipher:
    """Encrypts values of a consent, each bound to its account and to a purpose."""

    def __init__(self, *keys: bytes) -> None:
        """Encrypt under the first of *keys*, which may have any length; decrypt under any.

        Without a key, neither is possible.
        """
        self.cipher = AuthenticatedCipher(keys, CONSENT_KEY_PURPOSE)

    def encrypt(self, account_id: UUID, purpose: bytes, plain: bytes) -> bytes:
        """Encrypt *plain* for this account and this *purpose*.

        Raises:
            UnreadableConsent: no key is configured.
        """
        try:
            return self.cipher.encrypt(plain, purpose + account_id.bytes)
        except KeyMissing as error:
            raise UnreadableConsent(UnreadableConsent.__doc__) from error

    def decrypt_or_none(
        self, account_id: UUID, purpose: bytes, ciphertext: bytes | None
    ) -> bytes | None:
        """Decrypt *ciphertext*; return None if it is None or cannot be decrypted.

        A value that cannot be decrypted is logged for the operator and kept, because its key may be
        restored.
        """
        if ciphertext is None:
            return None
        try:
            return self.decrypt(account_id, purpose, ciphertext)
        except UnreadableConsent:
            log.error("hmrc.consent_not_opened")  # noqa: TRY400 - its frames hold personal data (I9)
            return None

    def decrypt(self, account_id: UUID, purpose: bytes, ciphertext: bytes) -> bytes:
        """Decrypt *ciphertext*.

        Raises:
            UnreadableConsent: its key, account or purpose is different, or it was changed.
        """
        try:
            return self.cipher.decrypt(ciphertext, purpose + account_id.bytes)
        except (KeyMissing, NotDecryptable) as error:
            raise UnreadableConsent(UnreadableConsent.__doc__) from error


class ConsentRequestRepository:
    """Stores at most one consent request for each account."""

    def __init__(self, autocommit: AsyncEngine, cipher: ConsentCipher) -> None:
        """Encrypt with *cipher*; each statement on *autocommit* commits by itself."""
        self._autocommit = autocommit
        self._cipher = cipher

    async def store(self, tx: Transaction, account_id: UUID, state: str, verifier: str) -> datetime:
        """Store a request in place of an earlier one; return when it expires."""
        ciphertext = self._cipher.encrypt(account_id, VERIFIER_PURPOSE, verifier.encode())
        statement = insert(ConsentRequest).values(
            account_id=account_id,
            state_digest=_digest(state),
            sealed_proof=ciphertext,
            expires_at=func.clock_timestamp() + REQUEST_LIFETIME,
        )
        statement = statement.on_conflict_do_update(
            index_elements=[ConsentRequest.account_id],
            set_={
                name: statement.excluded[name]
                for name in ("state_digest", "sealed_proof", "expires_at", "taken_at")
            },
        )
        begun = await tx.execute(statement.returning(ConsentRequest.expires_at))
        expires_at: datetime = begun.scalar_one()
        return expires_at

    async def consume(self, tx: Transaction, account_id: UUID, state: str) -> str | None:
        """Consume the account's request with *state*; return its verifier if it was valid.

        The row stays, marked as taken, until the consent is stored. A concurrent withdrawal deletes
        it.
        """
        consumed = await tx.execute(
            update(ConsentRequest)
            .where(
                *_request_conditions(account_id, state),
                ConsentRequest.taken_at.is_(None),
                ConsentRequest.expires_at > func.clock_timestamp(),
            )
            .values(taken_at=func.clock_timestamp())
            .returning(ConsentRequest.sealed_proof)
        )
        verifier = self._cipher.decrypt_or_none(
            account_id, VERIFIER_PURPOSE, consumed.scalar_one_or_none()
        )
        return None if verifier is None else verifier.decode()

    async def complete(self, tx: Transaction, account_id: UUID, state: str) -> bool:
        """Delete the consumed request with *state*; tell whether it still existed."""
        deleted = await tx.execute(
            delete(ConsentRequest).where(
                *_request_conditions(account_id, state), ConsentRequest.taken_at.is_not(None)
            )
        )
        return bool(deleted.rowcount)

    async def delete_expired(self) -> None:
        """Delete expired requests."""
        # `now()` is constant in a statement: for `clock_timestamp()` the planner uses no index.
        statement = delete(ConsentRequest).where(
            ConsentRequest.expires_at < func.now() - CALL_GRACE_PERIOD
        )
        async with self._autocommit.connect() as connection:
            await connection.execute(statement)


def _digest(state: str) -> bytes:
    """Return the digest of a state that is stored, so that a stolen table is of no use."""
    return sha256(state.encode("utf-8", "surrogatepass")).digest()


def _request_conditions(account_id: UUID, state: str) -> tuple[Any, ...]:
    return ConsentRequest.account_id == account_id, ConsentRequest.state_digest == _digest(state)


CONSENT_LIFETIME = timedelta(days=548)
"""Eighteen months; only HMRC knows the exact day."""
RENEWAL_LEASE = timedelta(seconds=20)
"""Longer than a call to HMRC can take."""
RENEWAL_SHARE = 0.8
"""The part of a token's lifetime after which it is renewed."""

TOKENS_PURPOSE = b"holding"
_GENERATIONS = Sequence("consent_generation", schema="hmrc")
"""Shared by all accounts: a late renewal of a deleted consent matches no later consent."""


class ConsentTokens(RedactedStruct, frozen=True, kw_only=True):
    """The tokens of one consent, and the taxpayer reference that it was given for."""

    utr: str
    access_token: str
    refresh_token: str


class StoredConsent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent as it is stored; without tokens if it has lapsed or cannot be decrypted.

    `generation` identifies the token exchange that issued the tokens.
    """

    generation: int
    tokens: ConsentTokens | None
    is_fresh: bool


class ConsentDates(msgspec.Struct, frozen=True, kw_only=True):
    """When a consent was given, when it ends at the latest, and when it lapsed, if it has."""

    granted_at: datetime
    ends_at: datetime
    lapsed_at: datetime | None


class ConsentRepository:
    """Stores at most one consent for each account."""

    def __init__(self, autocommit: AsyncEngine, cipher: ConsentCipher) -> None:
        """Encrypt with *cipher*; each statement on *autocommit* commits by itself."""
        self._autocommit = autocommit
        self._cipher = cipher

    async def store(
        self, tx: Transaction, account_id: UUID, tokens: ConsentTokens, life_seconds: float
    ) -> None:
        """Store a new consent with *tokens*, in place of an earlier one."""
        statement = insert(Consent).values(
            account_id=account_id,
            generation=_GENERATIONS.next_value(),
            granted_at=func.clock_timestamp(),
            ends_at=func.clock_timestamp() + CONSENT_LIFETIME,
            **self._columns(account_id, tokens, life_seconds),
        )
        columns = ("sealed", "renew_at", "claimed_until", "granted_at", "ends_at", "lapsed_at")
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=[Consent.account_id],
                set_={name: statement.excluded[name] for name in ("generation", *columns)},
            )
        )

    async def get_dates(self, account_id: UUID) -> ConsentDates | None:
        """Return the dates of the account's consent, if it has one. Nothing is decrypted."""
        statement = select(Consent.granted_at, Consent.ends_at, Consent.lapsed_at).where(
            Consent.account_id == account_id
        )
        async with self._autocommit.connect() as connection:
            row = (await connection.execute(statement)).mappings().first()
        return None if row is None else ConsentDates(**row)

    async def find(self, account_id: UUID) -> StoredConsent | None:
        """Return the account's consent, if it has one, even if it has lapsed."""
        statement = select(
            Consent.generation,
            Consent.sealed,
            (Consent.renew_at > func.clock_timestamp()).label("is_fresh"),
        ).where(Consent.account_id == account_id)
        async with self._autocommit.connect() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        plain = self._cipher.decrypt_or_none(account_id, TOKENS_PURPOSE, row.sealed)
        return StoredConsent(
            generation=row.generation,
            tokens=None if plain is None else msgspec.json.decode(plain, type=ConsentTokens),
            is_fresh=row.is_fresh,
        )

    async def claim_renewal(self, account_id: UUID, generation: int) -> bool:
        """Claim the renewal of these tokens; of concurrent callers, one succeeds.

        The claim is a time-limited lease and no row lock, which would keep a transaction open
        during the call to HMRC (I2).
        """
        return await self._execute_single(
            update(Consent)
            .where(
                *_generation_conditions(account_id, generation),
                Consent.lapsed_at.is_(None),
                or_(
                    Consent.claimed_until.is_(None),
                    Consent.claimed_until <= func.clock_timestamp(),
                ),
            )
            .values(claimed_until=func.clock_timestamp() + RENEWAL_LEASE)
        )

    async def release_renewal(self, account_id: UUID, generation: int) -> None:
        """Release an unused claim."""
        await self._execute_single(
            update(Consent)
            .where(*_generation_conditions(account_id, generation))
            .values(claimed_until=None)
        )

    async def store_renewed(
        self,
        tx: Transaction,
        account_id: UUID,
        generation: int,
        tokens: ConsentTokens,
        life_seconds: float,
        *,
        is_lapsed: bool = False,
    ) -> bool:
        """Store the renewal of *generation*; tell whether that generation was still current.

        With *is_lapsed*, replace a consent that a later, refused renewal has marked as lapsed.
        """
        stored = await tx.execute(
            update(Consent)
            .where(
                *_generation_conditions(account_id, generation),
                Consent.lapsed_at.is_not(None) == is_lapsed,
            )
            .values(
                generation=_GENERATIONS.next_value(),
                **self._columns(account_id, tokens, life_seconds),
            )
        )
        return bool(stored.rowcount)

    async def mark_lapsed(self, tx: Transaction, account_id: UUID, generation: int) -> bool:
        """Mark *generation* as lapsed and delete its tokens; tell whether it was current."""
        lapsed = await tx.execute(
            update(Consent)
            .where(*_generation_conditions(account_id, generation), Consent.lapsed_at.is_(None))
            .values(sealed=None, claimed_until=None, lapsed_at=func.clock_timestamp())
        )
        return bool(lapsed.rowcount)

    async def delete(self, tx: Transaction, account_id: UUID) -> bool:
        """Delete the consent and any consent request; tell whether there was a consent."""
        await tx.execute(delete(ConsentRequest).where(ConsentRequest.account_id == account_id))
        deleted = await tx.execute(delete(Consent).where(Consent.account_id == account_id))
        return bool(deleted.rowcount)

    def _columns(
        self, account_id: UUID, tokens: ConsentTokens, life_seconds: float
    ) -> dict[str, Any]:
        return {
            "sealed": self._cipher.encrypt(account_id, TOKENS_PURPOSE, msgspec.json.encode(tokens)),
            "renew_at": func.clock_timestamp() + timedelta(seconds=life_seconds * RENEWAL_SHARE),
            "claimed_until": None,
            "lapsed_at": None,
        }

    async def _execute_single(self, statement: Any) -> bool:
        """Run one statement in its own transaction; tell whether it changed a row."""
        async with self._autocommit.connect() as connection:
            return bool((await connection.execute(statement)).rowcount)


def _generation_conditions(account_id: UUID, generation: int) -> tuple[Any, ...]:
    return Consent.account_id == account_id, Consent.generation == generation


def encrypted_columns(settings: HmrcSettings) -> tuple[EncryptedColumn, ...]:
    """Return the columns that are encrypted under the keys of *settings*."""
    cipher = ConsentCipher(settings.encryption_key, *settings.old_encryption_keys).cipher
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
