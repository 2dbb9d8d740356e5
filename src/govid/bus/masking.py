"""Hides what is personal in an event before a person looks at it."""

from collections.abc import Mapping
from typing import Any

MASK = "***"

SHOWN = frozenset(
    {
        "account_id",
        "acr",
        "actId",
        "appointment_id",
        "changed",
        "client_id",
        "confirmed_datetime",
        "correlation_id",
        "deliveries",
        "duration_ms",
        "error",
        "granted",
        "identifierType",
        "identifier_digest",
        "identifier_type",
        "isVerified",
        "kid",
        "level",
        "message",
        "method",
        "notice_id",
        "occurred_at",
        "operator",
        "path",
        "request_id",
        "requested_datetime",
        "resource",
        "review_id",
        "selection",
        "service",
        "session_id",
        "session_ids",
        "statedReason",
        "stated_reason",
        "status",
        "status_code",
        "step",
        "timestamp",
        "userId",
        "user_id",
    }
)
"""Members whose values name nobody outside govid. A member that is not listed is masked: one that
a later version adds stays hidden until somebody has thought about it (I9)."""


def masked(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return *payload* with every value hidden that could be personal; null stays null."""
    return {
        name: value if name in SHOWN or value is None else MASK for name, value in payload.items()
    }
