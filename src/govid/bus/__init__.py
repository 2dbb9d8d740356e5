"""The public API of the bus for modules: durable delivery of events, storage, shared types.

`events`, `shared` and `upstream` have public APIs of their own. The other subpackages (`storage`,
`delivery`, `kafka`, `operations`) are imported only by the gateway and by each other.
"""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.bus.actor import ANONYMOUS, Actor, DeferredAccessEvent, OperationContext, Principal
    from govid.bus.clock import Clock, SystemClock
    from govid.bus.consumers import Delivery, Handler, Subscriber, Subscriptions
    from govid.bus.errors import (
        ErrorKind,
        FieldProblem,
        GovidError,
        InvalidRequest,
        Outage,
        TransactionClosed,
    )
    from govid.bus.ids import uuid7
    from govid.bus.module import Module
    from govid.bus.paging import (
        DEFAULT_LIMIT,
        MAX_LIMIT,
        Page,
        build_page,
        limit_page,
        stream_pages,
    )
    from govid.bus.personal import Personal
    from govid.bus.pseudonyms import PseudonymGenerator
    from govid.bus.settings import BusSettings
    from govid.bus.storage.advisory_locks import try_transaction_lock
    from govid.bus.storage.database import Database
    from govid.bus.storage.periodic import PeriodicWorker
    from govid.bus.storage.quotas import (
        QuotaCleanup,
        QuotaCounters,
        QuotaReached,
        QuotaRule,
        RateExceeded,
    )
    from govid.bus.storage.transaction import Transaction, UnitOfWork, rerun_on_conflict
    from govid.bus.storage.unavailability import DATABASE_UNAVAILABLE
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "actor": ("ANONYMOUS", "Actor", "OperationContext", "Principal", "DeferredAccessEvent"),
            "clock": ("Clock", "SystemClock"),
            "consumers": ("Subscriber", "Delivery", "Handler", "Subscriptions"),
            "errors": (
                "FieldProblem",
                "GovidError",
                "InvalidRequest",
                "ErrorKind",
                "Outage",
                "TransactionClosed",
            ),
            "ids": ("uuid7",),
            "module": ("Module",),
            "paging": (
                "DEFAULT_LIMIT",
                "MAX_LIMIT",
                "Page",
                "limit_page",
                "build_page",
                "stream_pages",
            ),
            "personal": ("Personal",),
            "pseudonyms": ("PseudonymGenerator",),
            "settings": ("BusSettings",),
            "storage.database": ("Database",),
            "storage.advisory_locks": ("try_transaction_lock",),
            "storage.periodic": ("PeriodicWorker",),
            "storage.quotas": (
                "QuotaRule",
                "QuotaCleanup",
                "QuotaReached",
                "QuotaCounters",
                "RateExceeded",
            ),
            "storage.transaction": ("Transaction", "UnitOfWork", "rerun_on_conflict"),
            "storage.unavailability": ("DATABASE_UNAVAILABLE",),
        },
    )

__all__ = [
    "ANONYMOUS",
    "DATABASE_UNAVAILABLE",
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "Actor",
    "BusSettings",
    "Clock",
    "Database",
    "DeferredAccessEvent",
    "Delivery",
    "ErrorKind",
    "FieldProblem",
    "GovidError",
    "Handler",
    "InvalidRequest",
    "Module",
    "OperationContext",
    "Outage",
    "Page",
    "PeriodicWorker",
    "Personal",
    "Principal",
    "PseudonymGenerator",
    "QuotaCleanup",
    "QuotaCounters",
    "QuotaReached",
    "QuotaRule",
    "RateExceeded",
    "Subscriber",
    "Subscriptions",
    "SystemClock",
    "Transaction",
    "TransactionClosed",
    "UnitOfWork",
    "build_page",
    "limit_page",
    "rerun_on_conflict",
    "stream_pages",
    "try_transaction_lock",
    "uuid7",
]
