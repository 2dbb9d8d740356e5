"""Publishes a simulated death notice, for demonstrations."""

import asyncio

from govid.bus import Actor, OperationContext, UnitOfWork, uuid7
from govid.bus.events import DeathNotified, IdentifierType


class SimulatedDeathNotices:
    """Publishes one death notice, some time after the server is ready.

    It takes the path of a real one: through the outbox, on the same topic, to the same handlers.
    """

    def __init__(self, uow: UnitOfWork, *, nino: str, delay_seconds: float) -> None:
        """Report the death of the person with *nino* after *delay_seconds*."""
        self._uow = uow
        self._nino = nino
        self._delay_seconds = delay_seconds

    async def run(self) -> None:
        """Wait, publish the notice, and end."""
        await asyncio.sleep(self._delay_seconds)
        context = OperationContext(
            correlation_id=str(uuid7()), actor=Actor(kind="module", id="hmrc.deaths")
        )
        async with self._uow.begin(context) as tx:
            tx.emit(
                DeathNotified(
                    identifier_type=IdentifierType.NIN,
                    identifier_value=self._nino,
                    reason="Simulated notice of death",
                    timestamp=tx.now,
                )
            )
