"""I9: an operator sees what happened, not to whom in the world outside."""

import importlib
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest

import govid
from govid.bus.events.masking import MASK, mask_payload, mask_text
from govid.bus.events.registry import EVENT_TYPES
from govid.bus.shared.privacy import personal_field_names

TELLING = frozenset(
    {
        "access_token",
        "date_of_birth",
        "email",
        "family_name",
        "given_name",
        "identifier_value",
        "medical_history",
        "new_password",
        "nhs_number",
        "password",
        "patient_identifier",
        "phone_number",
        "postcode",
        "refresh_token",
        "tax_number",
        "token",
    }
)
"""Members of any struct that are personal whatever the struct is for."""

WORDS = frozenset(
    {
        "acr",
        "checkpoint",
        "client_id",
        "correlation_id",
        "deliveries",
        "ends",
        "error",
        "fault",
        "fields",
        "flow",
        "identifier_digest",
        "kid",
        "kind",
        "level",
        "message",
        "method",
        "operator",
        "origin",
        "path",
        "purpose",
        "reason",
        "request_id",
        "resource",
        "role",
        "root",
        "selection",
        "service",
        "statedReason",
        "stated_reason",
        "status",
        "subject",
        "topic",
        "transaction",
        "user_id",
    }
)
"""Text in events that names no person. A new one is added here after a review, or marked as
`Personal` where it is declared."""


def structs() -> Iterator[type[msgspec.Struct]]:
    """Yield every struct of govid."""
    for module in pkgutil.walk_packages(govid.__path__, "govid."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    pending = [msgspec.Struct]
    while pending:
        found = pending.pop().__subclasses__()
        pending += found
        yield from (one for one in found if one.__module__.startswith("govid."))


ALL = sorted(set(structs()), key=lambda one: f"{one.__module__}.{one.__qualname__}")


def names(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the members of *struct*: their names here, and on the wire."""
    return {field.name: field.encode_name for field in msgspec.structs.fields(struct)}


def test_i9_an_identifier_is_hidden_and_an_account_is_not() -> None:
    payload = {"userId": "u", "identifierValue": "AB123456C", "userName": "x"}
    hidden = {"userId": "u", "identifierValue": MASK, "userName": MASK}
    assert mask_payload(payload) == hidden
    assert mask_payload(payload, "identity.verification.requested") == hidden
    assert mask_payload(payload, "identity.verification.requested.v1") == hidden


def test_i9_what_one_type_shows_another_hides() -> None:
    payload = {"reason": "some words"}
    assert mask_payload(payload, "identity.account.blocked") == payload
    assert mask_payload(payload, "hmrc.death.notified") == {"reason": MASK}
    assert mask_payload(payload) == {"reason": MASK}
    assert mask_payload(payload, "of.a.later.release") == {"reason": MASK}


def test_what_is_missing_is_seen_to_be_missing() -> None:
    assert mask_payload({"reason": None}) == {"reason": None}


def test_i9_every_text_in_an_event_is_personal_or_known_not_to_be() -> None:
    undecided = {
        (kind.name, field.encode_name)
        for kind in EVENT_TYPES
        for field in msgspec.structs.fields(kind.struct)
        if str in (field.type, *getattr(field.type, "__args__", ()))
        and field.encode_name not in personal_field_names(kind.struct) | WORDS
    }
    assert undecided == set()


@pytest.mark.parametrize("module", ["contracts", "schemas"])
def test_i9_what_goes_over_a_wire_is_marked_where_it_is_declared(module: str) -> None:
    unmarked = {
        (struct.__qualname__, name)
        for struct in ALL
        if module in struct.__module__.split(".")
        for name, wire in names(struct).items()
        if name in TELLING and wire not in personal_field_names(struct)
    }
    assert unmarked == set()


def test_i9_no_struct_with_something_personal_shows_it_in_its_repr() -> None:
    talkative = {
        struct.__qualname__
        for struct in ALL
        if personal_field_names(struct) or TELLING & names(struct).keys()
        if struct.__repr__ is msgspec.Struct.__repr__
    }
    assert talkative == set()


@pytest.mark.parametrize(
    "word",
    [
        "AB123456C",
        "ab 12 34 56 c",
        "NHS123456789",
        "943 476 5919",
        "9434765919",
        "1000057161",
        "+447123456789",
        "canary.7f3a@example.com",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ],
)
def test_i9_what_has_the_shape_of_something_personal_is_hidden(word: str) -> None:
    assert mask_text(f"DETAIL: Key (x)=({word}) exists") == f"DETAIL: Key (x)=({MASK}) exists"


def test_i9_who_signs_in_to_a_server_is_hidden() -> None:
    assert mask_text("postgresql://govid:secret@db/x") == f"postgresql://{MASK}@db/x"


@pytest.mark.parametrize(
    "text",
    [
        "/api/nhs/appointments/0190a5a0-0000-7000-8000-000000000001",
        "2026-11-22T18:34:45.824244Z",
        "events_2026_11_22",
        "verification/6f1c8311-ddf9-b548-ee57-a75d0a1bb44e",
        "127.0.0.1:51875",
        "relay.round_failed",
    ],
)
def test_what_only_looks_a_little_like_it_stays(text: str) -> None:
    assert mask_text(text) == text
