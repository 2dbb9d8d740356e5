"""The published language: every event that modules and outside consumers share."""

from govid.bus.contracts.accounts import (
    AccountBlocked,
    AccountEvent,
    AccountRegistered,
    AccountRestored,
    AccountVerificationFailed,
    AccountVerified,
)
from govid.bus.contracts.appointments import AppointmentDecided, AppointmentRequested
from govid.bus.contracts.base import Event, IdentifierType, Topic
from govid.bus.contracts.deaths import DeathNotified
from govid.bus.contracts.logs import AccessDecided, RequestFinished, RequestReceived
from govid.bus.contracts.operations import (
    OutboxAct,
    OutboxBackfilled,
    OutboxDiscarded,
    OutboxReplayed,
    OutboxRetried,
    OutboxUnparked,
)
from govid.bus.contracts.verification import (
    HmrcVerificationCompleted,
    NhsVerificationCompleted,
    VerificationCompleted,
    VerificationRequested,
)

__all__ = [
    "AccessDecided",
    "AccountBlocked",
    "AccountEvent",
    "AccountRegistered",
    "AccountRestored",
    "AccountVerificationFailed",
    "AccountVerified",
    "AppointmentDecided",
    "AppointmentRequested",
    "DeathNotified",
    "Event",
    "HmrcVerificationCompleted",
    "IdentifierType",
    "NhsVerificationCompleted",
    "OutboxAct",
    "OutboxBackfilled",
    "OutboxDiscarded",
    "OutboxReplayed",
    "OutboxRetried",
    "OutboxUnparked",
    "RequestFinished",
    "RequestReceived",
    "Topic",
    "VerificationCompleted",
    "VerificationRequested",
]
