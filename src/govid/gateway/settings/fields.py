"""Declares settings: field helpers, and settings with several values.

A list is written as a JSON list or separated by commas.
"""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field
from pydantic_settings import NoDecode

from govid.bus.kafka.addresses import parse_addresses
from govid.gateway.http.hosts import is_host, is_network

DepartmentMode = Literal["auto", "remote", "simulator", "off"]
"""Which client serves a department."""


def setting_field(default: Any, *names: str, doc: str, **limits: Any) -> Any:
    """Declare a setting with all its names, govid's own first."""
    return Field(default, validation_alias=AliasChoices(*names), description=doc, **limits)


MAX_ORGANISATION_BYTES = 120
_ORIGIN = re.compile(r"[A-Za-z0-9._/:-]{1,64}", re.ASCII)
_PRACTICE = re.compile(r"[^=@]*[^=@\s]=\d+@[A-Z0-9]+", re.ASCII)


def _split_list(value: object) -> object:
    """Split a JSON list or a comma-separated list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("neither a JSON list nor a list with commas") from None
    return [part.strip().rstrip("/") for part in value.split(",") if part.strip()]


def _validate_hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse entries that no client would send as a host."""
    if not all(map(is_host, value)):
        raise ValueError("a host is a name or an address, without https:// and without a path")
    return value


def _validate_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse entries that are no network, or whose address has more bits than the prefix."""
    if not all(map(is_network, value)):
        raise ValueError("a network is written like 192.0.2.0/24 or 2001:db8::/32")
    return value


def _validate_practices(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse malformed entries, and a specialty that is given twice."""
    if not all(map(_PRACTICE.fullmatch, value)):
        raise ValueError("a practice is written like Cardiology=2000011147@A20047")
    if len({one.partition("=")[0].strip().casefold() for one in value}) != len(value):
        raise ValueError("each specialty has one practice")
    return value


def _validate_origin(value: str | None) -> str | None:
    """Refuse a name that cannot be in a signed note, or is too long for an access proof."""
    if value is not None and not _ORIGIN.fullmatch(value):
        raise ValueError("a name of up to 64 letters, digits, dots, hyphens and slashes")
    return value


def _validate_organisation(value: str) -> str:
    """Refuse a name that is too long for an access proof, or cannot be printed."""
    if not value.isprintable() or len(value.encode()) > MAX_ORGANISATION_BYTES:
        raise ValueError(f"a printable name of up to {MAX_ORGANISATION_BYTES} bytes in UTF-8")
    return value


def _validate_kafka_servers(value: str | None) -> str | None:
    """Refuse addresses that Kafka's client could not parse."""
    if value:
        parse_addresses(value)
    return value


def _refuse_credentials(value: str | None) -> str | None:
    """Refuse a user or a password, which commands would print with the rest of the value."""
    if value and "@" in value.partition("?")[0]:
        raise ValueError("it has a user or a password, which do not belong there")
    return value


def _refuse_credentials_in_each(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        _refuse_credentials(value)
    return values


PublicAddress = Annotated[str | None, AfterValidator(_refuse_credentials)]
"""A host or a URL that is no secret."""
AuditOrigin = Annotated[str | None, AfterValidator(_validate_origin)]
AuditOrganisation = Annotated[str, AfterValidator(_validate_organisation)]
KafkaServerList = Annotated[str | None, AfterValidator(_validate_kafka_servers)]
# Without `NoDecode` the library would accept JSON only.
TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_list)]
HostList = Annotated[TextList, AfterValidator(_validate_hosts)]
OriginList = Annotated[TextList, AfterValidator(_refuse_credentials_in_each)]
NetworkList = Annotated[TextList, AfterValidator(_validate_networks)]
PracticeList = Annotated[TextList, AfterValidator(_validate_practices)]
