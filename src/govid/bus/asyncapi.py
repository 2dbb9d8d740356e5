"""The description of every topic in AsyncAPI 3.1, made from the event structs (ADR-0010)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.inspect import DateTimeType, StructType, UnionType, type_info

from govid import __version__
from govid.bus.contracts import Event, Topic
from govid.bus.event_types import EVENT_TYPES
from govid.bus.kafka.logstream import TYPES
from govid.bus.kafka.topics_admin import INBOUND, dead_letter_topic

Json = dict[str, Any]

HEADERS: Mapping[str, Json] = {
    "content-type": {"const": "application/json"},
    "ce_specversion": {"const": "1.0"},
    "ce_id": {
        "format": "uuid",
        "description": "Of the event, and the same whenever it is sent again: consumers that have"
        " seen it may skip it.",
    },
    "ce_type": {"description": "The event's permanent name and its version."},
    "ce_source": {"description": "The part of govid that tells: /govid/nhs."},
    "ce_time": {"format": "date-time", "description": "When it happened, in UTC."},
    "ce_correlationid": {"description": "What began with one request has one of these."},
    "ce_subject": {"format": "uuid", "description": "The account; also the record's key."},
    "ce_sequence": {
        "pattern": "^[1-9][0-9]*$",
        "description": "Counts within the account's events of one kind, from 1, without gaps.",
    },
    "ce_causationid": {"format": "uuid", "description": "The event of which this one came."},
    "traceparent": {"description": "W3C Trace Context of the request or record that began it."},
    "ce_replayid": {"format": "uuid", "description": "An operator had the record sent again."},
    "ce_installation": {
        "pattern": "^[0-9a-f]{16}$",
        "description": "Which installation of govid published the record.",
    },
}
ALWAYS = tuple(HEADERS)[:7]
"""The headers that every record has."""

DEAD_LETTER_HEADERS: Mapping[str, str] = {
    "dlq_reason": "Why the record could not be taken in.",
    "dlq_place": "Where in the value, if it is one place.",
    "dlq_topic": "The topic that it came from.",
    "dlq_partition": "Its partition there.",
    "dlq_offset": "Its offset there.",
    "dlq_bytes": "The length of its value; above 512 KiB the value itself is left out.",
    "dlq_time": "When it was set aside.",
}

_INFO = """\
Records are CloudEvents 1.0 in binary mode: the value is flat UTF-8 JSON, everything else travels in
headers. All records of an account have its id as their key and so share a partition, in order.
Delivery is at least once: a record may come twice, with the same `ce_id`. Consumers ignore members
that they do not know. Producers other than govid may send to the topics of which it receives; the
headers are theirs to leave out, and a `ce_id` is what makes a repetition harmless."""


class _Message(NamedTuple):
    """A kind of record."""

    name: str
    struct: type[Event]
    topic: Topic


def document() -> Json:
    """Return the description. Topics have the contract's names; settings may rename three."""
    messages = [
        *(_Message(f"{t.name}.v{t.version}", t.struct, t.topic) for t in EVENT_TYPES if t.topic),
        *(
            _Message(f"{name}.v1", struct, Topic.ACTIVITY)
            for struct, name in TYPES.items()
            if name not in {kind.name for kind in EVENT_TYPES}
        ),
    ]
    _, schemas = msgspec.json.schema_components(
        [message.struct for message in messages], ref_template="#/components/schemas/{name}"
    )
    for message in messages:
        _date_times(message.struct, schemas[message.struct.__name__])
    return {
        "asyncapi": "3.1.0",
        "info": {"title": "govid", "version": __version__, "description": _INFO},
        "defaultContentType": "application/json",
        "channels": {
            **{topic.value: _channel(topic, messages) for topic in Topic},
            **{dead_letter_topic(topic.value): _dead_letters(topic) for topic in INBOUND},
        },
        "operations": {
            **{f"send.{t.value}": _operation("send", t, messages) for t in Topic},
            **{f"receive.{t.value}": _operation("receive", t, messages) for t in INBOUND},
        },
        "components": {
            "messages": {message.name: _described(message) for message in messages},
            "schemas": {"RecordHeaders": _headers(HEADERS, ALWAYS), **schemas},
        },
    }


def render() -> bytes:
    """Return the description as it is published and committed."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def _channel(topic: Topic, messages: Sequence[_Message]) -> Json:
    return {
        "address": topic.value,
        "messages": {
            m.name: {"$ref": f"#/components/messages/{m.name}"}
            for m in messages
            if m.topic is topic
        },
    }


def _dead_letters(topic: Topic) -> Json:
    name = dead_letter_topic(topic.value)
    told = {header: {"description": text} for header, text in DEAD_LETTER_HEADERS.items()}
    return {
        "address": name,
        "description": f"Records of {topic.value} that could not be taken in, as they came.",
        "messages": {
            "unreadable": {
                "summary": "Any key, any headers besides these, any value.",
                "contentType": "application/octet-stream",
                "headers": _headers(told, tuple(told)),
            }
        },
    }


def _operation(action: str, topic: Topic, messages: Sequence[_Message]) -> Json:
    channel = f"#/channels/{topic.value}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [
            {"$ref": f"{channel}/messages/{m.name}"} for m in messages if m.topic is topic
        ],
    }


def _described(message: _Message) -> Json:
    fields = set(message.struct.__struct_fields__)
    return {
        "name": message.name,
        "summary": (message.struct.__doc__ or "").partition("\n")[0],
        "contentType": "application/json",
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/RecordHeaders"},
                {"type": "object", "properties": {"ce_type": {"const": message.name}}},
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{message.struct.__name__}"},
        "bindings": {"kafka": {"key": _key(fields, message.topic), "bindingVersion": "0.5.0"}},
    }


def _key(fields: set[str], topic: Topic) -> Json:
    if "user_id" not in fields or topic in {Topic.ACTIVITY, Topic.ACCESS}:
        return {"type": "null"}
    return {"type": ["string", "null"], "format": "uuid", "description": "The account, if known."}


def _headers(properties: Mapping[str, Json], required: Sequence[str]) -> Json:
    return {
        "type": "object",
        "properties": {name: {"type": "string", **rest} for name, rest in properties.items()},
        "required": list(required),
    }


def _date_times(struct: type[Event], schema: Json) -> None:
    """Say of *schema*'s moments that they are some, which msgspec does not."""
    described = type_info(struct)
    for field in described.fields if isinstance(described, StructType) else ():
        types = field.type.types if isinstance(field.type, UnionType) else (field.type,)
        if any(isinstance(kind, DateTimeType) for kind in types):
            member = schema["properties"][field.encode_name]
            text = next(
                (each for each in member.get("anyOf", []) if each["type"] == "string"), None
            )
            (member if text is None else text)["format"] = "date-time"
