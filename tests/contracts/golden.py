"""The contract of each event, one file for a type and version: its shape, and one record of it.

After a compatible change `python -m tests.contracts.golden` writes the shapes anew; one that
breaks a consumer or a producer is refused: it needs a new version of the type. A new type begins as
a file with its `record`, written by hand; the rest is filled in.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from govid.bus import PseudonymGenerator
from govid.bus.events import Event, Topic
from govid.bus.events.registry import EVENT_TYPES, EventType
from govid.bus.kafka import cloudevents
from govid.bus.kafka.log_topics import LOG_RECORD_TYPES

FOLDER = Path(__file__).parent
PSEUDONYMS = PseudonymGenerator(b"k" * 32)
EVENT = UUID("01890000-0000-7000-8000-00000000000e")
CONTEXT = UUID("01890000-0000-7000-8000-00000000000c")
AT = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
Json = dict[str, Any]


class Kind(NamedTuple):
    """A type in one version, whether or not its events pass through the outbox."""

    name: str
    version: int
    struct: type[Event]
    topic: Topic | None
    type: EventType | None

    @property
    def file(self) -> Path:
        return FOLDER / f"{self.name}.v{self.version}.json"


def kinds() -> Iterator[Kind]:
    """Yield every kind of event there is."""
    for kind in EVENT_TYPES:
        yield Kind(kind.name, kind.version, kind.struct, kind.topic, kind)
    outside = {
        struct: name
        for struct, name in LOG_RECORD_TYPES.items()
        if name != "gateway.access.decided"
    }
    for struct, name in outside.items():
        yield Kind(name, 1, struct, Topic.ACTIVITY, None)


def shape(struct: type[Event]) -> Json:
    """Return the members of *struct* as JSON Schema, and nothing that is only words."""
    reference, components = msgspec.json.schema_components([struct], ref_template="{name}")
    whole = _bare(components[reference[0]["$ref"]], components)
    return {"properties": whole["properties"], "required": sorted(whole["required"])}


def breaks(old: Json, new: Json) -> list[str]:
    """Return what those who rely on the shape *old* would stumble over in *new*."""
    was, now = old["properties"], new["properties"]
    return [
        *(f"{name} is gone" for name in was if name not in now),
        *(f"{name} has another type" for name in was if name in now and was[name] != now[name]),
        *(f"{name} has become a must" for name in new["required"] if name not in old["required"]),
    ]


def contract(kind: Kind, value: Json) -> Json:
    """Return what the contract of *kind* has to say now, with *value* as its example."""
    event = msgspec.json.decode(msgspec.json.encode(value), type=kind.struct)
    account = kind.type.account(event) if kind.type else None
    headers = cloudevents.build_headers(
        event_id=EVENT,
        type_name=kind.name,
        version=kind.version,
        occurred_at=AT,
        correlation_id="c-1",
        subject=account,
        sequence=1 if kind.type and kind.type.stream else None,
        causation_id=CONTEXT,
        traceparent=TRACE,
    )
    record = {"key": account, "headers": {name: text.decode() for name, text in headers}}
    return {
        "type": kind.name,
        "version": kind.version,
        "topic": kind.topic,
        "ordered_by": kind.type.order_key(event, PSEUDONYMS) if kind.type else None,
        "shape": shape(kind.struct),
        "record": {**(record if kind.topic else {}), "value": value},
    }


def read(kind: Kind) -> Json:
    """Return the committed contract of *kind*."""
    found: Json = msgspec.json.decode(kind.file.read_bytes())
    return found


def _bare(schema: Any, components: Json) -> Any:
    if isinstance(schema, list):
        return [_bare(each, components) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _bare(components[schema["$ref"]], components)
    return {
        key: {name: _bare(each, components) for name, each in value.items()}
        if key == "properties"
        else _bare(value, components)
        for key, value in schema.items()
        if key not in {"title", "description", "default"}
    }


def main() -> None:
    """Write every contract anew, unless that would break one."""
    for kind in kinds():
        old = read(kind)
        if "shape" in old and (found := breaks(old["shape"], shape(kind.struct))):
            raise SystemExit(f"{kind.name}.v{kind.version}: {'; '.join(found)}")
        new = contract(kind, old["record"]["value"])
        kind.file.write_bytes(msgspec.json.format(msgspec.json.encode(new), indent=2) + b"\n")


if __name__ == "__main__":
    main()
