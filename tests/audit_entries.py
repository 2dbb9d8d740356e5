"""The audit log in tests: its key, and the factory that an outbox needs."""

from govid.bus.audit.entries import EntryFactory
from govid.bus.settings import AuditSettings

AUDIT_KEY = "an audit key for tests, 32 bytes or more"
AUDIT = AuditSettings(key=AUDIT_KEY.encode(), origin="govid.test/audit")


def entry_factory() -> EntryFactory:
    """Return the factory of entries under the key of the tests."""
    return EntryFactory.from_settings(AUDIT)
