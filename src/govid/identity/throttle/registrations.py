"""Registration rate limits: by client network, and by an address or identifier that is taken.

A refused registration reveals that its address or identifier has an account. Therefore only few
refusals per address or identifier are allowed.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from govid.bus import Cause, GovidError, Pseudonyms, Quota, Quotas, Transaction, UnitOfWork
from govid.bus.contracts import IdentifierType, RegistrationDuplicated
from govid.bus.shared.identifiers import identity_key
from govid.identity.errors import EmailTaken, IdentifierTaken, TooManyAttempts
from govid.identity.settings import ThrottleSettings
from govid.identity.throttle.callers import TrustedCallers, network_of

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * 3600

Taken = Literal["email", "NIN", "NHS"]
TAKEN: Mapping[IdentifierType, Taken] = {IdentifierType.NIN: "NIN", IdentifierType.NHS: "NHS"}


class Registrations:
    """Counts registrations before their work is done (rate limit)."""

    def __init__(
        self, uow: UnitOfWork, quotas: Quotas, settings: ThrottleSettings, pseudonyms: Pseudonyms
    ) -> None:
        """Count by *settings*, under *pseudonyms*.

        Raises:
            ValueError: an entry of the trusted networks is not a network.
        """
        self._uow = uow
        self._quotas = quotas
        self._registrations = settings.registrations
        self._duplicates = settings.duplicates
        self._trusted = TrustedCallers(settings.trusted_callers)
        self._pseudonyms = pseudonyms

    @asynccontextmanager
    async def counting(
        self, address: str, identifier_type: IdentifierType, identifier: str, cause: Cause
    ) -> AsyncIterator["Counted"]:
        """Hold the quotas of a registration with this canonical *address* and *identifier*.

        The registration runs in the block, which calls `record` when it succeeds. A refusal
        because the address or identifier is taken is recorded; any other error is not counted.

        Raises:
            TooManyAttempts: too many registrations from this network, or refusals of this address
                or identifier.
        """
        email = self._pseudonyms.of(f"throttle:{address}")
        key = identity_key(identifier_type, identifier)
        subject = self._pseudonyms.of(f"identifier:{identifier_type}:{key}")
        use = await self._hold(email, subject, cause)
        try:
            yield use
        except EmailTaken:
            await self._record_duplicate(use, email, "email", cause)
            raise
        except IdentifierTaken:
            await self._record_duplicate(use, subject, TAKEN[identifier_type], cause)
            raise
        except GovidError:
            await self._release(use.all, cause)
            raise

    async def _hold(self, email: str, identifier: str, cause: Cause) -> "Counted":
        use = Counted(self._quotas, (), ())
        if not self._trusted.include(cause.address):
            use = Counted(
                self._quotas,
                self._network_quotas(cause.address),
                self._duplicate_quotas(email, identifier),
            )
        if use.all:
            async with self._uow.begin(cause) as tx:
                seconds = await self._quotas.hold(tx, use.all)
                if seconds is not None:
                    raise TooManyAttempts(retry_after_seconds=seconds)
        return use

    def _network_quotas(self, address: str | None) -> Sequence[Quota]:
        bucket = self._pseudonyms.of(f"address:{network_of(address)}")
        return _quotas("registrations", [bucket], self._registrations, HOUR_SECONDS)

    def _duplicate_quotas(self, *subjects: str) -> Sequence[Quota]:
        return _quotas("duplicates", subjects, self._duplicates, DAY_SECONDS)

    async def _record_duplicate(
        self, use: "Counted", subject: str, taken: Taken, cause: Cause
    ) -> None:
        """Spend the quota of the network and of the taken address or identifier."""
        async with self._uow.begin(cause) as tx:
            await use.settle(tx, subject)
            tx.emit(RegistrationDuplicated(subject=subject, taken=taken, timestamp=tx.now))

    async def _release(self, quotas: Sequence[Quota], cause: Cause) -> None:
        if quotas:
            async with self._uow.begin(cause) as tx:
                await self._quotas.settle(tx, given_back=quotas)


class Counted:
    """The quotas that are held for one registration."""

    def __init__(
        self, quotas: Quotas, network: Sequence[Quota], duplicates: Sequence[Quota]
    ) -> None:
        """Keep the held quotas of the network, and of the address and identifier."""
        self._quotas = quotas
        self._network = network
        self._duplicates = duplicates
        self.all = (*network, *duplicates)

    async def settle(self, tx: Transaction, taken: str | None = None) -> None:
        """Spend the network's quota, and that of the *taken* address or identifier if given."""
        await self._quotas.settle(
            tx,
            spent=[*self._network, *(one for one in self._duplicates if one.bucket == taken)],
            given_back=[one for one in self._duplicates if one.bucket != taken],
        )


def _quotas(kind: str, buckets: Sequence[str], most: int, seconds: float) -> Sequence[Quota]:
    if not most:
        return ()
    return tuple(Quota(kind=kind, bucket=bucket, most=most, seconds=seconds) for bucket in buckets)
