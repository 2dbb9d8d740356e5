"""The table of event types."""

import pytest

from govid.bus.events.registry import EVENT_TYPES, EventRegistry, UnknownEventType


def test_an_unknown_version_is_an_unknown_type() -> None:
    with pytest.raises(UnknownEventType):
        EventRegistry().get_type("nhs.verification.completed", 2)


# A name or a stream in this table that changes makes stored events unreadable (I10): add, never
# change.
PERMANENT = {
    ("identity.account.registered", 1, "account"),
    ("identity.account.verified", 1, "account"),
    ("identity.account.verification_failed", 1, "account"),
    ("identity.account.blocked", 1, "account"),
    ("identity.account.restored", 1, "account"),
    ("identity.verification.requested", 1, "verification"),
    ("nhs.verification.completed", 1, "verification"),
    ("hmrc.verification.completed", 1, "verification"),
    ("hmrc.death.notified", 1, "death"),
    ("nhs.appointment.requested", 1, "appointment"),
    ("nhs.appointment.decided", 1, "appointment"),
    ("gateway.access.decided", 1, None),
    ("bus.outbox.replayed", 1, "operator"),
    ("bus.outbox.retried", 1, "operator"),
    ("bus.outbox.unparked", 1, "operator"),
    ("bus.outbox.discarded", 1, "operator"),
    ("bus.outbox.backfilled", 1, "operator"),
}


def test_i10_names_of_event_types_are_permanent() -> None:
    assert {(t.name, t.version, t.stream) for t in EVENT_TYPES} >= PERMANENT
