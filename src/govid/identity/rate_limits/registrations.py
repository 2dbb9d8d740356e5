"""Registration rate limits: by client network, and by an address or identifier that is taken.

A refused registration reveals that its address or identifier has an account. Therefore only few
refusals per address or identifier are allowed.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from govid.bus import (
    GovidError,
    OperationContext,
    PseudonymGenerator,
    QuotaCounters,
    QuotaRule,
    Transaction,
    UnitOfWork,
)
from govid.bus.events import IdentifierType, RegistrationDuplicated
from govid.bus.shared.identifiers import identity_key
from govid.identity.errors import EmailTaken, IdentifierTaken, TooManyAttempts
from govid.identity.rate_limits.client_networks import TrustedNetworks, client_network
from govid.identity.settings import ThrottleSettings

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * 3600

DuplicateField = Literal["email", "NIN", "NHS"]
DUPLICATE_FIELDS: Mapping[IdentifierType, DuplicateField] = {
    IdentifierType.NIN: "NIN",
    IdentifierType.NHS: "NHS",
}


class RegistrationQuota:
    """Counts registrations before their work is done (rate limit)."""

    def __init__(
        self,
        uow: UnitOfWork,
        quotas: QuotaCounters,
        settings: ThrottleSettings,
        pseudonyms: PseudonymGenerator,
    ) -> None:
        """Count by *settings*, under *pseudonyms*.

        Raises:
            ValueError: an entry of the trusted networks is not a network.
        """
        self._uow = uow
        self._quotas = quotas
        self._registration_limit = settings.registrations
        self._duplicate_limit = settings.duplicates
        self._trusted_networks = TrustedNetworks(settings.trusted_networks)
        self._pseudonyms = pseudonyms

    @asynccontextmanager
    async def counting(
        self,
        address: str,
        identifier_type: IdentifierType,
        identifier: str,
        context: OperationContext,
    ) -> AsyncIterator["QuotaUse"]:
        """Hold the quotas of a registration with this canonical *address* and *identifier*.

        The registration runs in the block, which calls `record` when it succeeds. A refusal
        because the address or identifier is taken is recorded; any other error is not counted.

        Raises:
            TooManyAttempts: too many registrations from this network, or refusals of this address
                or identifier.
        """
        email = self._pseudonyms.for_value(f"throttle:{address}")
        key = identity_key(identifier_type, identifier)
        subject = self._pseudonyms.for_value(f"identifier:{identifier_type}:{key}")
        quota_use = await self._reserve(email, subject, context)
        try:
            yield quota_use
        except EmailTaken:
            await self._record_duplicate(quota_use, email, "email", context)
            raise
        except IdentifierTaken:
            await self._record_duplicate(
                quota_use, subject, DUPLICATE_FIELDS[identifier_type], context
            )
            raise
        except GovidError:
            await self._release(quota_use.all_quotas, context)
            raise

    async def _reserve(self, email: str, identifier: str, context: OperationContext) -> "QuotaUse":
        quota_use = QuotaUse(self._quotas, (), ())
        if not self._trusted_networks.contains(context.client_address):
            quota_use = QuotaUse(
                self._quotas,
                self._network_quotas(context.client_address),
                self._duplicate_quotas(email, identifier),
            )
        if quota_use.all_quotas:
            async with self._uow.begin(context) as tx:
                retry_after_seconds = await self._quotas.reserve(tx, quota_use.all_quotas)
                if retry_after_seconds is not None:
                    raise TooManyAttempts(retry_after_seconds=retry_after_seconds)
        return quota_use

    def _network_quotas(self, address: str | None) -> Sequence[QuotaRule]:
        bucket = self._pseudonyms.for_value(f"address:{client_network(address)}")
        return _build_quotas("registrations", [bucket], self._registration_limit, HOUR_SECONDS)

    def _duplicate_quotas(self, *subjects: str) -> Sequence[QuotaRule]:
        return _build_quotas("duplicates", subjects, self._duplicate_limit, DAY_SECONDS)

    async def _record_duplicate(
        self, quota_use: "QuotaUse", subject: str, taken: DuplicateField, context: OperationContext
    ) -> None:
        """Spend the quota of the network and of the taken address or identifier."""
        async with self._uow.begin(context) as tx:
            await quota_use.record(tx, subject)
            tx.emit(RegistrationDuplicated(subject=subject, taken=taken, timestamp=tx.now))

    async def _release(self, quotas: Sequence[QuotaRule], context: OperationContext) -> None:
        if quotas:
            async with self._uow.begin(context) as tx:
                await self._quotas.confirm(tx, released=quotas)


class QuotaUse:
    """The quotas that are held for one registration."""

    def __init__(
        self, quotas: QuotaCounters, network: Sequence[QuotaRule], duplicates: Sequence[QuotaRule]
    ) -> None:
        """Keep the held quotas of the network, and of the address and identifier."""
        self._quotas = quotas
        self._network = network
        self._duplicates = duplicates
        self.all_quotas = (*network, *duplicates)

    async def record(self, tx: Transaction, taken_bucket: str | None = None) -> None:
        """Spend the network's quota, and that of the taken address or identifier if there is one.

        *taken_bucket* is the pseudonym of that address or identifier.
        """
        taken = [quota for quota in self._duplicates if quota.bucket == taken_bucket]
        free = [quota for quota in self._duplicates if quota.bucket != taken_bucket]
        await self._quotas.confirm(tx, consumed=[*self._network, *taken], released=free)


def _build_quotas(
    kind: str, buckets: Sequence[str], limit: int, seconds: float
) -> Sequence[QuotaRule]:
    if not limit:
        return ()
    return tuple(
        QuotaRule(kind=kind, bucket=bucket, limit=limit, seconds=seconds) for bucket in buckets
    )
