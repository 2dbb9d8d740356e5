"""What an operator did to the outbox. Each act is an event in the transaction of what it did."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from govid.bus.shared.contract import Event


class OutboxAct(Event, frozen=True, kw_only=True, rename="camel"):
    """A batch of an operator's act. All batches of one command share `act_id`.

    `deliveries` holds the events that were touched, by subscriber. `selection` is what was asked
    for. `stated_reason` is the operator's own words, which may name nobody.
    """

    act_id: UUID
    operator: str
    stated_reason: str
    selection: Mapping[str, str]
    deliveries: Mapping[str, Sequence[UUID]]
    timestamp: datetime


class OutboxReplayed(OutboxAct, frozen=True, kw_only=True):
    """What had been delivered is delivered again."""


class OutboxRetried(OutboxAct, frozen=True, kw_only=True):
    """What was stuck tries again, with all its attempts."""


class OutboxUnparked(OutboxAct, frozen=True, kw_only=True):
    """Parked keys go on, with the attempts that they have left."""


class OutboxDiscarded(OutboxAct, frozen=True, kw_only=True):
    """What was stuck will never be handled."""


class OutboxBackfilled(OutboxAct, frozen=True, kw_only=True):
    """A subscriber gets events that had not been addressed to it."""
