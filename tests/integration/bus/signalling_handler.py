"""A handler that tells when it is through."""

import asyncio
from typing import Any

from govid.bus import Delivery
from tests.integration.bus.harness import LedgerHandler


class SignallingHandler(LedgerHandler):
    """Notes when it has handled an event, as nearly as can be seen from inside."""

    def __init__(self) -> None:
        super().__init__()
        self.handled = asyncio.Event()

    async def apply(self, tx: Any, delivery: Delivery[Any], outcome: None) -> None:
        await super().apply(tx, delivery, outcome)
        tx.after_commit(self.handled.set)
