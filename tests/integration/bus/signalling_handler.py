"""A handler that signals when it has handled an event."""

import asyncio
from typing import Any

from govid.bus import Delivery
from tests.integration.bus.harness import LedgerHandler


class SignallingHandler(LedgerHandler):
    """Signals after the commit of its transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.handled = asyncio.Event()

    async def apply(self, tx: Any, delivery: Delivery[Any], outcome: None) -> None:
        await super().apply(tx, delivery, outcome)
        tx.after_commit(self.handled.set)
