"""I9: an operator sees what happened, not to whom in the world outside."""

import msgspec

from govid.bus.catalogue import EVENT_TYPES
from govid.bus.masking import MASK, SHOWN, masked

PERSONAL = frozenset(
    {
        "client_ip",
        "confirmation_details",
        "doctor_specialty",
        "identifierValue",
        "patient_identifier",
        "reason",
        "rejection_reason",
        "user_agent",
    }
)


def test_an_identifier_is_hidden_and_an_account_is_not() -> None:
    assert masked({"userId": "u", "identifierValue": "AB123456C", "userName": "x"}) == {
        "userId": "u",
        "identifierValue": MASK,
        "userName": MASK,
    }


def test_what_is_missing_is_seen_to_be_missing() -> None:
    assert masked({"reason": None}) == {"reason": None}


def test_every_member_of_every_event_is_shown_or_hidden_on_purpose() -> None:
    members = {
        field.encode_name for kind in EVENT_TYPES for field in msgspec.structs.fields(kind.struct)
    }
    assert members - SHOWN - PERSONAL == set()
    assert members & PERSONAL & SHOWN == set()
