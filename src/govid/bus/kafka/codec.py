"""Between rows and records: CloudEvents 1.0 in binary mode.

A record's value is the stored payload to the byte; all that govid adds travels in headers, so the
value stays what consumers have always read. Nothing personal may stand in a header or a key (I9):
the subject is the account's id, or missing.

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

OURS = "/govid/"
"""How the source of each record begins that govid wrote."""

_TYPE = re.compile(r"(?P<name>.+)\.v(?P<version>[1-9][0-9]{0,5})")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_CORRELATION = re.compile(r"[\x21-\x7e]{1,128}")
_INSTALLATION = re.compile(r"[0-9a-f]{16}")
_FIXED: RecordHeaders = [("content-type", b"application/json"), ("ce_specversion", b"1.0")]


def headers(
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

    Over a remembered number and not the topic's present one: a topic that grows would otherwise
    move a key, and its later events could be read before its earlier ones.
    """
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers of a foreign record say about it. Nothing here is to be trusted."""

    event_id: bytes | None
    """Any bytes at all; None if the record has no id."""
    source: str
    type_name: str | None
    version: int
    correlation_id: str | None
    traceparent: str | None
    installation: str | None = None
    """Which govid wrote it, if one did that says so."""

    @property
    def own_id(self) -> UUID | None:
        """Return the id as a UUID if it is written the way govid writes its own."""
        text = text_of(self.event_id or b"")
        try:
            found = UUID(text)
        except ValueError:
            return None
        return found if str(found) == text else None


def attributes(record_headers: Iterable[tuple[str, bytes | None]]) -> Attributes:
    """Read the headers of a foreign record. Producers that know no CloudEvents may send a bare id.

    Of a header that stands twice the last counts.
    """
    found = {name.lower(): value for name, value in record_headers if value}
    ids = (found.get(name) for name in ("ce_id", "ce-id", "id", "message-id", "message_id"))
    name, version = _named(text_of(found.get("ce_type") or found.get("ce-type") or b""))
    return Attributes(
        event_id=next((value for value in ids if value), None),
        source=text_of(found.get("ce_source") or found.get("ce-source") or b"")[:500],
        type_name=name,
        version=version,
        correlation_id=_matching(
            _CORRELATION, found.get("ce_correlationid") or found.get("correlation_id")
        ),
        traceparent=_matching(_TRACEPARENT, found.get("traceparent")),
        installation=_matching(_INSTALLATION, found.get("ce_installation")),
    )


def own_id(record: Any, installation: str | None = None) -> UUID | None:
    """Return the event's id if govid wrote *record*, an aiokafka `ConsumerRecord`.

    Not if it says that another installation than *installation* did.
    """
    found = attributes(record.headers)
    is_foreign = None not in {installation, found.installation} and (
        found.installation != installation
    )
    return found.own_id if found.source.startswith(OURS) and not is_foreign else None


def other_installation(record: Any, installation: str | None) -> str | None:
    """Return which installation wrote *record*, if that was another one of govid."""
    found = attributes(record.headers)
    is_other = installation is not None and found.installation != installation
    return found.installation if is_other and found.source.startswith(OURS) else None


def text_of(raw: bytes) -> str:
    """Return *raw* as text that any database takes: what is not UTF-8, and NUL, is escaped."""
    return raw.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


def _named(text: str) -> tuple[str | None, int]:
    if not text:
        return None, 1
    match = _TYPE.fullmatch(text)
    return (text[:200], 1) if match is None else (match["name"][:200], int(match["version"]))


def _matching(pattern: re.Pattern[str], raw: bytes | None) -> str | None:
    text = raw.decode() if raw and raw.isascii() else ""
    return text if pattern.fullmatch(text) else None
