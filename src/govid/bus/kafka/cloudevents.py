"""Converts between rows and Kafka records: CloudEvents 1.0 in binary mode, and partitioning by key.

The value of a record is the stored payload, byte for byte. All that govid adds is in the headers,
so consumers of the plain value are not affected. Headers and keys contain no personal data (I9):
the subject is the id of the account, or missing.

Source: CloudEvents Kafka protocol binding 1.0.2, section 3.2.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from aiokafka.partitioner import murmur2

RecordHeaders = list[tuple[str, bytes]]

OWN_SOURCE_PREFIX = "/govid/"
"""Prefix of the source of every record that govid writes."""

_TYPE = re.compile(r"(?P<name>.+)\.v(?P<version>[1-9][0-9]{0,5})")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_CORRELATION = re.compile(r"[\x21-\x7e]{1,128}")
_INSTALLATION = re.compile(r"[0-9a-f]{16}")
_FIXED: RecordHeaders = [("content-type", b"application/json"), ("ce_specversion", b"1.0")]


def build_headers(
    *,
    event_id: UUID,
    type_name: str,
    version: int,
    occurred_at: datetime,
    correlation_id: str,
    subject: str | None = None,
    sequence: int | None = None,
    causation_id: UUID | None = None,
    traceparent: str | None = None,
    replay_id: UUID | None = None,
    installation: str | None = None,
) -> RecordHeaders:
    """Return the headers of one record. `sequence` counts within the event's key, from 1."""
    result = [
        *_FIXED,
        ("ce_id", str(event_id).encode()),
        ("ce_type", f"{type_name}.v{version}".encode()),
        ("ce_source", f"/govid/{type_name.partition('.')[0]}".encode()),
        ("ce_time", occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()),
        ("ce_correlationid", correlation_id.encode()),
    ]
    if subject is not None:
        result.append(("ce_subject", subject.encode()))
    if sequence is not None:
        result.append(("ce_sequence", str(sequence).encode()))
    if causation_id is not None:
        result.append(("ce_causationid", str(causation_id).encode()))
    if traceparent is not None:
        result.append(("traceparent", traceparent.encode()))
    if replay_id is not None:
        result.append(("ce_replayid", str(replay_id).encode()))
    if installation is not None:
        result.append(("ce_installation", installation.encode()))
    return result


@lru_cache(maxsize=8192)
def partition_for(key: str, partitions: int) -> int:
    """Return the partition of *key* among *partitions*, as Kafka's Java client computes it.

    *partitions* is the stored number, not the current one of the topic. Otherwise a topic that
    grows would move a key, and its later events could be read before its earlier ones.
    """
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


class RecordAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """The CloudEvents attributes in the headers of a foreign record. None of them is trusted."""

    event_id: bytes | None
    """Arbitrary bytes; None if the record has no id."""
    source: str
    type_name: str | None
    version: int
    correlation_id: str | None
    traceparent: str | None
    installation: str | None = None
    """The govid installation that wrote the record, if the header names one."""

    @property
    def own_event_id(self) -> UUID | None:
        """Return the id as a UUID if it has the form of ids written by govid."""
        text = decode_escaped(self.event_id or b"")
        try:
            found = UUID(text)
        except ValueError:
            return None
        return found if str(found) == text else None


def parse_attributes(record_headers: Iterable[tuple[str, bytes | None]]) -> RecordAttributes:
    """Parse the headers of a foreign record. Producers without CloudEvents may send a bare id.

    If a header occurs twice, the last one counts.
    """
    found = {name.lower(): value for name, value in record_headers if value}
    ids = (found.get(name) for name in ("ce_id", "ce-id", "id", "message-id", "message_id"))
    name, version = _split_type(decode_escaped(found.get("ce_type") or found.get("ce-type") or b""))
    return RecordAttributes(
        event_id=next((value for value in ids if value), None),
        source=decode_escaped(found.get("ce_source") or found.get("ce-source") or b"")[:500],
        type_name=name,
        version=version,
        correlation_id=_decode_matching(
            _CORRELATION, found.get("ce_correlationid") or found.get("correlation_id")
        ),
        traceparent=_decode_matching(_TRACEPARENT, found.get("traceparent")),
        installation=_decode_matching(_INSTALLATION, found.get("ce_installation")),
    )


def own_event_id(record: Any, installation: str | None = None) -> UUID | None:
    """Return the event id if govid wrote *record*, an aiokafka `ConsumerRecord`.

    Returns None if the record names another installation than *installation*.
    """
    found = parse_attributes(record.headers)
    is_foreign = None not in {installation, found.installation} and (
        found.installation != installation
    )
    return (
        found.own_event_id
        if found.source.startswith(OWN_SOURCE_PREFIX) and not is_foreign
        else None
    )


def foreign_installation(record: Any, installation: str | None) -> str | None:
    """Return the installation that wrote *record*, if it is another govid than *installation*."""
    found = parse_attributes(record.headers)
    is_other = installation is not None and found.installation != installation
    return found.installation if is_other and found.source.startswith(OWN_SOURCE_PREFIX) else None


def decode_escaped(raw: bytes) -> str:
    """Decode *raw* to text that every database accepts: invalid UTF-8 and NUL are escaped."""
    return raw.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


def _split_type(text: str) -> tuple[str | None, int]:
    if not text:
        return None, 1
    match = _TYPE.fullmatch(text)
    return (text[:200], 1) if match is None else (match["name"][:200], int(match["version"]))


def _decode_matching(pattern: re.Pattern[str], raw: bytes | None) -> str | None:
    text = raw.decode() if raw and raw.isascii() else ""
    return text if pattern.fullmatch(text) else None
