"""The size of an access proof: it must fit into a QR code's 2 kB."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from govid.bus import Actor, AuditKeys, OperationContext, PseudonymGenerator, uuid7
from govid.bus.audit.access_proofs import AccessProofView
from govid.bus.audit.entries import EntryFactory
from govid.bus.audit.signed_notes import Checkpoint
from govid.bus.events import DataViewed
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry

NOW = datetime(2026, 1, 5, 9, 30, 0, 123456, tzinfo=UTC)
KEYS = AuditKeys([b"k" * 32], "o" * 64)


def longest_proof(view: str, organisation: str, account_id: UUID | None) -> bytes:
    envelopes = EnvelopeFactory(EventRegistry(), PseudonymGenerator(b"k" * 32))
    event = DataViewed(
        act_id=uuid7(),
        operator="Olivia",
        stated_reason="A request",
        view=view,
        account_id=account_id,
        timestamp=NOW,
    )
    context = OperationContext(
        correlation_id="c" * 64,
        actor=Actor(kind="operator", id="Olivia"),
        client_address="2001:db8::1",
    )
    [entry] = EntryFactory(KEYS, organisation).build_all([envelopes.build(event, context, NOW)])
    checkpoint = Checkpoint(origin="o" * 64, size=1_000_000, root=b"r" * 32, at=NOW)
    return msgspec.json.encode(
        AccessProofView(
            entry=entry.content.decode(),
            index=999_999,
            path=base64.b64encode(b"h" * 32 * 20).decode(),
            checkpoint=KEYS.note_signer.sign(checkpoint),
        )
    )


@pytest.mark.parametrize("view", ["accounts show", "events tail --raw", "audit search"])
def test_r22_a_proof_in_a_log_of_a_million_entries_fits_into_2_kb(view: str) -> None:
    assert len(longest_proof(view, "g" * 60, uuid7())) <= 2_048
