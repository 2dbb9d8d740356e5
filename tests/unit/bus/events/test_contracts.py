"""The contract of every event: its shape, and one record of it to the byte (requirement 15)."""

from copy import deepcopy
from typing import Any

import msgspec
import pytest

from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.bus.shared.context import OperationContext
from tests.contracts import golden
from tests.contracts.golden import AT, FOLDER, PSEUDONYMS, Kind, breaks, kinds

KINDS = {f"{kind.name}.v{kind.version}": kind for kind in kinds()}
OUTBOX = {name: kind for name, kind in KINDS.items() if kind.type is not None}
PERSONAL = ("AB123456C", "9434765919")

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
each_of_the_outbox = pytest.mark.parametrize("kind", OUTBOX.values(), ids=OUTBOX)


def value(kind: Kind) -> bytes:
    """Return the value of the contract's record, to the byte."""
    return msgspec.json.encode(golden.read(kind)["record"]["value"])


def test_every_event_has_a_contract_and_no_contract_has_lost_its_event() -> None:
    # A type that goes away leaves consumers behind, and stored events that cannot be read.
    assert {path.stem for path in FOLDER.glob("*.json")} == KINDS.keys()


@each_kind
def test_no_contract_is_broken(kind: Kind) -> None:
    # What is needed instead is a new version of the type, beside this one.
    assert breaks(golden.read(kind)["shape"], golden.shape(kind.struct)) == []


@each_kind
def test_r15_the_contract_says_what_the_code_does(kind: Kind) -> None:
    # After a compatible change: python -m tests.contracts.golden
    contract = golden.read(kind)
    assert golden.contract(kind, contract["record"]["value"]) == contract


@each_kind
def test_r15_what_is_read_is_written_again_to_the_byte(kind: Kind) -> None:
    event = msgspec.json.decode(value(kind), type=kind.struct)
    assert msgspec.json.encode(event) == value(kind)


@each_of_the_outbox
def test_r15_what_is_emitted_is_what_the_contract_says(kind: Kind) -> None:
    contract = golden.read(kind)
    catalogue = EventRegistry()
    event = catalogue.decode(catalogue.get_type(kind.name, kind.version), value(kind))
    sealed = EnvelopeFactory(catalogue, PSEUDONYMS).build(
        event, OperationContext(correlation_id="c-1"), AT
    )
    assert sealed.payload == value(kind)
    assert sealed.key == contract["ordered_by"]
    assert sealed.record_key == contract["record"].get("key", sealed.record_key)


@each_kind
def test_r15_no_identifier_is_outside_the_value(kind: Kind) -> None:
    contract = golden.read(kind)
    event = msgspec.json.decode(value(kind), type=kind.struct)
    del contract["record"]["value"]
    seen = f"{contract!r} {event!r}"
    assert [one for one in PERSONAL if one in seen] == []


def test_a_death_notice_is_ordered_by_its_identifier_without_showing_it() -> None:
    contract = golden.read(KINDS["hmrc.death.notified.v1"])
    assert contract["ordered_by"] == f"death/{PSEUDONYMS.for_value('NIN:AB123456')}"


SHAPE = {
    "properties": {"name": {"type": "string"}, "note": {"type": "string"}},
    "required": ["name"],
}


def changed(**properties: Any) -> Any:
    shape = deepcopy(SHAPE)
    shape["properties"].update(properties)  # type: ignore[attr-defined]
    return shape


def without(member: str) -> Any:
    shape: Any = deepcopy(SHAPE)
    del shape["properties"][member]
    return shape


@pytest.mark.parametrize(
    ("new", "found"),
    [
        (SHAPE, []),
        (changed(more={"type": "string"}), []),
        (without("note"), ["note is gone"]),
        (changed(name={"type": "integer"}), ["name has another type"]),
        (
            changed(name={"anyOf": [{"type": "string"}, {"type": "null"}]}),
            ["name has another type"],
        ),
        ({**SHAPE, "required": ["name", "note"]}, ["note has become a must"]),
        (
            {**changed(more={"type": "string"}), "required": ["name", "more"]},
            ["more has become a must"],
        ),
        (
            {"properties": {"title": {"type": "string"}}, "required": ["title"]},
            ["name is gone", "note is gone", "title has become a must"],
        ),
    ],
    ids=[
        "same",
        "a new optional member",
        "removed",
        "another type",
        "may be null now",
        "optional no more",
        "a new required member",
        "renamed",
    ],
)
def test_what_breaks_a_contract_is_noticed(new: Any, found: list[str]) -> None:
    assert breaks(SHAPE, new) == found


def test_a_contract_is_not_written_anew_when_that_would_break_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    kind = KINDS["hmrc.death.notified.v1"]
    contract = golden.read(kind)
    contract["shape"]["properties"]["place"] = {"type": "string"}
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    monkeypatch.setattr(golden, "kinds", lambda: iter([kind]))
    kind.file.write_bytes(msgspec.json.encode(contract))
    with pytest.raises(SystemExit, match=r"hmrc\.death\.notified\.v1: place is gone"):
        golden.main()
    assert golden.read(kind) == contract
