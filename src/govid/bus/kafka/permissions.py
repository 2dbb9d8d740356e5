"""The operations that Kafka's ACLs have to allow govid, and which of them they do not.

A broker tells a client which operations it may carry out (KIP-430), so nothing has to be tried.
`deploy/kafka-acls.txt` grants exactly these. Read and Write imply Describe, and Write implies
IdempotentWrite (KIP-679).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from typing import Any

import msgspec
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from govid.bus.events import Topic
from govid.bus.kafka.client_lifecycle import (
    CLIENT_ERRORS,
    close_connection,
    translate_client_errors,
)
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.topics import INBOUND_TOPICS, ORDERED_TOPICS, dead_letter_topic
from govid.bus.settings import BusSettings

REQUEST_MS = 5_000
UNKNOWN_OPERATIONS = -(2**31)
"""What a broker answers if it does not know the operations."""
NO_ERROR, TOPIC_AUTHORIZATION_FAILED, GROUP_AUTHORIZATION_FAILED = 0, 29, 30


class AclOperation(IntEnum):
    """The operations of ACLs that concern govid, with Kafka's numbers."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE_CONFIGS = 10

    @property
    def title(self) -> str:
        """The name as `kafka-acls.sh` expects it, like `DescribeConfigs`."""
        return self.name.title().replace("_", "")


_IMPLY_DESCRIBE = (AclOperation.READ, AclOperation.WRITE)


class MissingPermission(msgspec.Struct, frozen=True):
    """An operation that the ACLs do not allow. `resource` is "topic" or "group"."""

    resource: str
    name: str
    operation: AclOperation

    def __str__(self) -> str:
        """Return it as `kafka-acls.sh` takes it, without the principal."""
        return f"--{self.resource} {self.name} --operation {self.operation.title}"


def required_topic_operations(settings: BusSettings) -> Mapping[str, Sequence[AclOperation]]:
    """Return the operations that govid needs on each topic, by its name in Kafka.

    Topics that govid publishes are read as well: when it starts and by `govid outbox verify`.
    """
    managed = (AclOperation.CREATE, AclOperation.DESCRIBE_CONFIGS)
    needed: dict[str, Sequence[AclOperation]] = {
        settings.wire_name(topic): (
            AclOperation.READ,
            *((AclOperation.WRITE,) if topic in ORDERED_TOPICS else ()),
            *managed,
        )
        for topic in Topic
    }
    for topic in INBOUND_TOPICS:
        needed[dead_letter_topic(settings.wire_name(topic))] = (AclOperation.WRITE, *managed)
    return needed


async def find_missing_permissions(
    settings: BusSettings, clients: KafkaClientFactory
) -> list[MissingPermission]:
    """Return what the ACLs of *clients* do not allow of what govid needs.

    A topic that does not exist is left out, because its operations are not known. Of a topic that
    govid may not even see, only Read and Write are returned.

    Raises:
        Outage: Kafka does not answer.
    """
    with translate_client_errors():
        connection = await _connect(clients)
        try:
            needed = required_topic_operations(settings)
            found = await _find_missing_for_topics(connection, needed)
            if not await _may_read_group(connection, settings.inbox_group):
                found.append(MissingPermission("group", settings.inbox_group, AclOperation.READ))
        finally:
            await close_connection(connection)
    return found


async def _connect(clients: KafkaClientFactory) -> AIOKafkaConnection:
    """Connect to the first server that can be used."""
    *others, last = clients.addresses
    for address in others:
        with suppress(*CLIENT_ERRORS):
            return await clients.connect(address, timeout_ms=REQUEST_MS)
    return await clients.connect(last, timeout_ms=REQUEST_MS)


async def _find_missing_for_topics(
    connection: AIOKafkaConnection, needed: Mapping[str, Sequence[AclOperation]]
) -> list[MissingPermission]:
    try:
        answer: Any = await connection.send(_AuthorizedTopicsRequest(list(needed)))
    except (IncompatibleBrokerVersion, NotImplementedError):
        return []  # Before Kafka 2.3, and the in-memory cluster.
    missing = []
    for code, name, _, _, operations in answer.topics:
        if code == TOPIC_AUTHORIZATION_FAILED:
            # Not even Describe is allowed, so neither are these; the others are not known.
            missing += [
                MissingPermission("topic", name, one)
                for one in needed[name]
                if one in _IMPLY_DESCRIBE
            ]
        elif code == NO_ERROR and operations != UNKNOWN_OPERATIONS:
            missing += [
                MissingPermission("topic", name, one)
                for one in needed[name]
                if not operations & 1 << one
            ]
    return missing


async def _may_read_group(connection: AIOKafkaConnection, group: str) -> bool:
    """Return whether *group* may be read; true if the broker does not tell."""
    coordinator: Any = await connection.send(FindCoordinatorRequest(group, 0))
    if coordinator.error_code == GROUP_AUTHORIZATION_FAILED:
        return False
    try:
        answer: Any = await connection.send(_AuthorizedGroupsRequest([group]))
    except (IncompatibleBrokerVersion, NotImplementedError):
        return True
    ((code, *_, operations),) = answer.groups
    if code == GROUP_AUTHORIZATION_FAILED:
        return False
    is_known = code == NO_ERROR and operations != UNKNOWN_OPERATIONS
    return not is_known or bool(operations & 1 << AclOperation.READ)


# aiokafka has no types, which is what each `type: ignore` is about.


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    """Metadata v8, which aiokafka does not have: the first version with operations is this one."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _AuthorizedTopicsRequest(Request[_MetadataRequest]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        return request_struct_class(self._topics, False, False, True)


class _GroupsRequest(RequestStruct):  # type: ignore[misc]
    """DescribeGroups v3; aiokafka's own decodes its answer without the operations."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _AuthorizedGroupsRequest(Request[_GroupsRequest]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[_GroupsRequest]) -> _GroupsRequest:
        return request_struct_class(self._groups, True)
