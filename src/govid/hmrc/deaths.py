"""Notices of death."""

import asyncio

from govid.bus import Actor, Cause, UnitOfWork, uuid7
from govid.bus.contracts import DeathNotified, IdentifierType


class SimulatedDeath:
    """Gives one notice of death, some time after the server is ready.

    It leaves like a real one: through the outbox, on the same topic, handled by the same code.
    """

    def __init__(self, uow: UnitOfWork, *, nino: str, delay_seconds: float) -> None:
        """Report the holder of *nino* dead after *delay_seconds*."""
        self._uow = uow
        self._nino = nino
        self._delay_seconds = delay_seconds

    async def run(self) -> None:
        """Wait, give the notice, and be done."""
        await asyncio.sleep(self._delay_seconds)
        cause = Cause(correlation_id=str(uuid7()), actor=Actor(kind="module", id="hmrc.deaths"))
        async with self._uow.begin(cause) as tx:
            tx.emit(
                DeathNotified(
                    identifier_type=IdentifierType.NIN,
                    identifier_value=self._nino,
                    reason="Simulated notice of death",
                    timestamp=tx.now,
                )
            )
