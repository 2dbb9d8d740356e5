"""The bus of one process: what runs beside the server, and how it starts and stops."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from govid.bus.catalogue import Catalogue
from govid.bus.clock import Clock
from govid.bus.consumers import RELAY, Subscriptions
from govid.bus.database import Database
from govid.bus.dispatcher import Dispatcher
from govid.bus.envelope import Sealer
from govid.bus.leases import Leases
from govid.bus.module import Module
from govid.bus.outbox import PostgresOutbox
from govid.bus.pseudonyms import Pseudonyms
from govid.bus.settings import BusSettings
from govid.bus.transaction import UnitOfWork
from govid.bus.wake import Notifier, Wake

log = logging.getLogger(__name__)

STOP_SECONDS = 5
"""How long events in work may take to finish when the process stops."""
