"""The public API of the bus for modules: durable delivery of events, storage, shared types.

Modules also import `events` (every event type) and `upstream` (HTTP clients of departments), which
have public APIs of their own, and from `shared` what is not exported here. The other subpackages
(`storage`, `delivery`, `kafka`, `operations`) are imported only by the gateway and by each other.
"""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.bus.audit.access_log import AccessEntryView, AccessLog
    from govid.bus.audit.access_proofs import (
        AccessProofs,
        AccessProofView,
        ConsistencyProofView,
        VerifierKeysView,
    )
    from govid.bus.audit.data_reads import DataReadRecorder, ReadNotRecorded
    from govid.bus.audit.keys import AuditKeys
    from govid.bus.delivery.subscriptions import Delivery, Handler, Subscriber, Subscriptions
    from govid.bus.module import Module
    from govid.bus.settings import AuditSettings, BusSettings
    from govid.bus.shared.api import (
        DEFAULT_LIMIT,
        MAX_LIMIT,
        Page,
        build_page,
        limit_page,
        stream_pages,
    )
    from govid.bus.shared.clock import Clock, SystemClock
    from govid.bus.shared.context import (
        ANONYMOUS,
        Actor,
        DeferredAccessEvent,
        OperationContext,
        Principal,
    )
    from govid.bus.shared.errors import (
        ErrorKind,
        FieldFault,
        GovidError,
        InvalidRequest,
        Outage,
        TransactionClosed,
    )
    from govid.bus.shared.ids import uuid7
    from govid.bus.shared.privacy import Personal, PseudonymGenerator
    from govid.bus.storage.blocked_accounts import BlockedAccounts
    from govid.bus.storage.database import Database
    from govid.bus.storage.quotas import (
        QuotaCleanup,
        QuotaCounters,
        QuotaReached,
        QuotaRule,
        RateExceeded,
    )
    from govid.bus.storage.sql import try_transaction_lock
    from govid.bus.storage.transaction import Transaction, UnitOfWork, rerun_on_conflict
    from govid.bus.storage.workers import DATABASE_UNAVAILABLE, PeriodicWorker
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "audit.data_reads": ("DataReadRecorder", "ReadNotRecorded"),
            "audit.access_log": (
                "AccessEntryView",
                "AccessLog",
            ),
            "audit.access_proofs": (
                "AccessProofView",
                "AccessProofs",
                "ConsistencyProofView",
                "VerifierKeysView",
            ),
            "audit.keys": ("AuditKeys",),
            "delivery.subscriptions": (
                "Delivery",
                "Handler",
                "Subscriber",
                "Subscriptions",
            ),
            "module": ("Module",),
            "settings": ("AuditSettings", "BusSettings"),
            "shared.api": (
                "DEFAULT_LIMIT",
                "MAX_LIMIT",
                "Page",
                "build_page",
                "limit_page",
                "stream_pages",
            ),
            "shared.clock": (
                "Clock",
                "SystemClock",
            ),
            "shared.context": (
                "ANONYMOUS",
                "Actor",
                "DeferredAccessEvent",
                "OperationContext",
                "Principal",
            ),
            "shared.errors": (
                "ErrorKind",
                "FieldFault",
                "GovidError",
                "InvalidRequest",
                "Outage",
                "TransactionClosed",
            ),
            "shared.ids": ("uuid7",),
            "shared.privacy": (
                "Personal",
                "PseudonymGenerator",
            ),
            "storage.blocked_accounts": ("BlockedAccounts",),
            "storage.database": ("Database",),
            "storage.quotas": (
                "QuotaCleanup",
                "QuotaCounters",
                "QuotaReached",
                "QuotaRule",
                "RateExceeded",
            ),
            "storage.sql": ("try_transaction_lock",),
            "storage.transaction": (
                "Transaction",
                "UnitOfWork",
                "rerun_on_conflict",
            ),
            "storage.workers": (
                "DATABASE_UNAVAILABLE",
                "PeriodicWorker",
            ),
        },
    )

__all__ = [
    "ANONYMOUS",
    "DATABASE_UNAVAILABLE",
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "AccessEntryView",
    "AccessLog",
    "AccessProofView",
    "AccessProofs",
    "Actor",
    "AuditKeys",
    "AuditSettings",
    "BlockedAccounts",
    "BusSettings",
    "Clock",
    "ConsistencyProofView",
    "DataReadRecorder",
    "Database",
    "DeferredAccessEvent",
    "Delivery",
    "ErrorKind",
    "FieldFault",
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
    "ReadNotRecorded",
    "Subscriber",
    "Subscriptions",
    "SystemClock",
    "Transaction",
    "TransactionClosed",
    "UnitOfWork",
    "VerifierKeysView",
    "build_page",
    "limit_page",
    "rerun_on_conflict",
    "stream_pages",
    "try_transaction_lock",
    "uuid7",
]
