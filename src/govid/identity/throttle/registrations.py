"""How many accounts a network may open, and how often somebody may ask for what is taken.

A registration that is refused tells that its address or identifier has an account: so few may be
asked for that nobody learns much by it.
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
    """Counts registrations before their work is done."""

    def __init__(
        self, uow: UnitOfWork, quotas: Quotas, settings: ThrottleSettings, pseudonyms: Pseudonyms
    ) -> None:
        """Count by *settings*, under *pseudonyms*.

        Raises:
            ValueError: a network of trusted callers is none.
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
        """Count a registration with this canonical *address* and *identifier*; run it in the block.

        The block calls `settle` on what it is given, when nothing was taken. A refusal for what is
        taken is recorded; any other leaves no trace.

        Raises:
            TooManyAttempts: from this network, or for what is taken.
        """
        email = self._pseudonyms.of(f"throttle:{address}")
        key = identity_key(identifier_type, identifier)
        number = self._pseudonyms.of(f"identifier:{identifier_type}:{key}")
        counted = await self._count(email, number, cause)
        try:
            yield counted
        except EmailTaken:
            await self._duplicate(counted, email, "email", cause)
            raise
        except IdentifierTaken:
            await self._duplicate(counted, number, TAKEN[identifier_type], cause)
            raise
        except GovidError:
            await self._give_back(counted.all, cause)
            raise

    async def _count(self, email: str, number: str, cause: Cause) -> "Counted":
        counted = Counted(self._quotas, (), ())
        if not self._trusted.include(cause.address):
            counted = Counted(
                self._quotas, self._from_network(cause.address), self._of_taken(email, number)
            )
        if counted.all:
            async with self._uow.begin(cause) as tx:
                seconds = await self._quotas.hold(tx, counted.all)
                if seconds is not None:
                    raise TooManyAttempts(retry_after_seconds=seconds)
        return counted

    def _from_network(self, address: str | None) -> Sequence[Quota]:
        bucket = self._pseudonyms.of(f"address:{network_of(address)}")
        return _quotas("registrations", [bucket], self._registrations, HOUR_SECONDS)

    def _of_taken(self, *subjects: str) -> Sequence[Quota]:
        return _quotas("duplicates", subjects, self._duplicates, DAY_SECONDS)

    async def _duplicate(
        self, counted: "Counted", subject: str, taken: Taken, cause: Cause
    ) -> None:
        """Spend what was held for what was taken, and for the network."""
        async with self._uow.begin(cause) as tx:
            await counted.settle(tx, subject)
            tx.emit(RegistrationDuplicated(subject=subject, taken=taken, timestamp=tx.now))

    async def _give_back(self, quotas: Sequence[Quota], cause: Cause) -> None:
        if quotas:
            async with self._uow.begin(cause) as tx:
                await self._quotas.settle(tx, given_back=quotas)


class Counted:
    """What is held for one registration."""

    def __init__(self, quotas: Quotas, network: Sequence[Quota], taken: Sequence[Quota]) -> None:
        """Remember what is held for the network, and for what may be taken."""
        self._quotas = quotas
        self._network = network
        self._taken = taken
        self.all = (*network, *taken)

    async def settle(self, tx: Transaction, taken: str | None = None) -> None:
        """Count a registration of the network, and one of what was *taken*, if anything was."""
        await self._quotas.settle(
            tx,
            spent=[*self._network, *(one for one in self._taken if one.bucket == taken)],
            given_back=[one for one in self._taken if one.bucket != taken],
        )


def _quotas(kind: str, buckets: Sequence[str], most: int, seconds: float) -> Sequence[Quota]:
    if not most:
        return ()
    return tuple(Quota(kind=kind, bucket=bucket, most=most, seconds=seconds) for bucket in buckets)
