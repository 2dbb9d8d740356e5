"""Deletes what somebody began and never brought back: nothing rests on when that happens."""

import asyncio
import logging

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from govid.hmrc.repository import ConsentRequests

log = logging.getLogger(__name__)

PERIOD_SECONDS = 60.0
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError)


class Housekeeping:
    """The worker that keeps HMRC's tables in order; several replicas may do so at once."""

    def __init__(self, requests: ConsentRequests) -> None:
        """Tidy *requests*."""
        self._requests = requests

    async def run(self) -> None:
        """Tidy now and every minute, until cancelled."""
        while True:
            try:
                await self._requests.tidy()
            except _FAILURES as error:
                log.warning(
                    "housekeeping.failed",
                    extra={"operation": "consent requests", "error_class": type(error).__name__},
                )
            await asyncio.sleep(PERIOD_SECONDS)
