"""Builds the AsyncAPI 3.1 document of all topics from the event structs (ADR-0010)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.inspect import DateTimeType, StructType, UnionType, type_info

from govid import __version__
from govid.bus.events import Event, Topic
from govid.bus.events.registry import EVENT_TYPES
from govid.bus.kafka.log_topics import LOG_RECORD_TYPES
from govid.bus.kafka.topics import INBOUND_TOPICS, dead_letter_topic

Json = dict[str, Any]

HEADERS: Mapping[str, Json] = {
    "content-type": {"const": "application/json"},
    "ce_specversion": {"const": "1.0"},
    "ce_id": {
        "format": "uuid",
        "description": "The event's id. It is the same when the event is sent again, so that"
        " consumers can skip duplicates.",
    },
    "ce_type": {"description": "The event's permanent name and its version."},
    "ce_source": {"description": "The part of govid that published the event, as in /govid/nhs."},
    "ce_time": {"format": "date-time", "description": "When the event occurred, in UTC."},
    "ce_correlationid": {"description": "Shared by all events that result from one request."},
    "ce_subject": {"format": "uuid", "description": "The account; also the record's key."},
    "ce_sequence": {
        "pattern": "^[1-9][0-9]*$",
        "description": "The sequence number within the account's events of one kind: from 1,"
        " without gaps.",
    },
    "ce_causationid": {"format": "uuid", "description": "The event that caused this one."},
    "traceparent": {"description": "W3C Trace Context of the original request or record."},
    "ce_replayid": {"format": "uuid", "description": "The replay that sent the record again."},
    "ce_installation": {
        "pattern": "^[0-9a-f]{16}$",
        "description": "Which installation of govid published the record.",
    },
}
REQUIRED_HEADERS = tuple(HEADERS)[:7]
"""The headers that every record contains."""

DEAD_LETTER_HEADERS: Mapping[str, str] = {
    "dlq_reason": "Why the record could not be processed.",
    "dlq_place": "The location of the problem in the value, if it has one.",
    "dlq_topic": "The topic of the original record.",
    "dlq_partition": "The partition of the original record.",
    "dlq_offset": "The offset of the original record.",
    "dlq_bytes": "The length of its value. If key, value and headers together exceed 512 KiB, or"
    " the topic refuses them, the record contains only the headers that begin with `dlq_`.",
    "dlq_time": "When the record was dead-lettered.",
}

_INFO = """\
Records are CloudEvents 1.0 in binary mode: the value is flat UTF-8 JSON, all metadata are in
headers. All records of an account have its id as their key and so share a partition, in order.
Delivery is at least once: a record may be received twice, with the same `ce_id`. Consumers ignore
members that they do not know. Other producers may send to the topics that govid receives. They may
omit the headers; if they send a `ce_id`, repeated records are recognised."""


class _Message(NamedTuple):
    """One type of record."""

    name: str
    struct: type[Event]
    topic: Topic


def build_document() -> Json:
    """Build the document. Topics have the names of the contract; settings may rename three."""
    messages = [
        *(_Message(f"{t.name}.v{t.version}", t.struct, t.topic) for t in EVENT_TYPES if t.topic),
        *(
            _Message(f"{name}.v1", struct, Topic.ACTIVITY)
            for struct, name in LOG_RECORD_TYPES.items()
            if name not in {event_type.name for event_type in EVENT_TYPES}
        ),
    ]
    _, schemas = msgspec.json.schema_components(
        [message.struct for message in messages], ref_template="#/components/schemas/{name}"
    )
    for message in messages:
        _add_date_time_formats(message.struct, schemas[message.struct.__name__])
    return {
        "asyncapi": "3.1.0",
        "info": {"title": "govid", "version": __version__, "description": _INFO},
        "defaultContentType": "application/json",
        "channels": {
            **{topic.value: _build_channel(topic, messages) for topic in Topic},
            **{
                dead_letter_topic(topic.value): _build_dead_letter_channel(topic)
                for topic in INBOUND_TOPICS
            },
        },
        "operations": {
            **{f"send.{t.value}": _build_operation("send", t, messages) for t in Topic},
            **{
                f"receive.{t.value}": _build_operation("receive", t, messages)
                for t in INBOUND_TOPICS
            },
        },
        "components": {
            "messages": {message.name: _describe_message(message) for message in messages},
            "schemas": {"RecordHeaders": _describe_headers(HEADERS, REQUIRED_HEADERS), **schemas},
        },
    }


def render_document() -> bytes:
    """Return the document as it is published and committed."""
    return msgspec.json.format(msgspec.json.encode(build_document()), indent=2) + b"\n"


def _build_channel(topic: Topic, messages: Sequence[_Message]) -> Json:
    return {
        "address": topic.value,
        "messages": {
            m.name: {"$ref": f"#/components/messages/{m.name}"}
            for m in messages
            if m.topic is topic
        },
    }


def _build_dead_letter_channel(topic: Topic) -> Json:
    name = dead_letter_topic(topic.value)
    headers = {header: {"description": text} for header, text in DEAD_LETTER_HEADERS.items()}
    return {
        "address": name,
        "description": f"Dead-letter topic of {topic.value}: unprocessable records, unchanged, or"
        " their `dlq_` headers only if they are too large or refused by the topic.",
        "messages": {
            "unreadable": {
                "summary": "Any key, any value, and any headers in addition to these.",
                "contentType": "application/octet-stream",
                "headers": _describe_headers(headers, tuple(headers)),
            }
        },
    }


def _build_operation(action: str, topic: Topic, messages: Sequence[_Message]) -> Json:
    channel = f"#/channels/{topic.value}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [
            {"$ref": f"{channel}/messages/{m.name}"} for m in messages if m.topic is topic
        ],
    }


def _describe_message(message: _Message) -> Json:
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
        "bindings": {
            "kafka": {"key": _describe_key(fields, message.topic), "bindingVersion": "0.5.0"}
        },
    }


def _describe_key(fields: set[str], topic: Topic) -> Json:
    if "user_id" not in fields or topic in {Topic.ACTIVITY, Topic.ACCESS}:
        return {"type": "null"}
    return {"type": ["string", "null"], "format": "uuid", "description": "The account, if known."}


def _describe_headers(properties: Mapping[str, Json], required: Sequence[str]) -> Json:
    return {
        "type": "object",
        "properties": {name: {"type": "string", **rest} for name, rest in properties.items()},
        "required": list(required),
    }


def _add_date_time_formats(struct: type[Event], schema: Json) -> None:
    """Add the format `date-time` to the times of *schema*, which msgspec leaves out."""
    described = type_info(struct)
    for field in described.fields if isinstance(described, StructType) else ():
        types = field.type.types if isinstance(field.type, UnionType) else (field.type,)
        if any(isinstance(kind, DateTimeType) for kind in types):
            member = schema["properties"][field.encode_name]
            text = next(
                (each for each in member.get("anyOf", []) if each["type"] == "string"), None
            )
            (member if text is None else text)["format"] = "date-time"
