"""Event registry: looks up event types by struct when emitting, by name and version on reading."""

from collections.abc import Mapping, Sequence

import msgspec

from govid.bus.contracts import (
    Event,
    HmrcVerificationCompleted,
    IdentifierType,
    NhsVerificationCompleted,
)
from govid.bus.event_types import EVENT_TYPES, EventType


class UnknownEventType(LookupError):
    """This release has no event type with this name and version; a later one may have it."""


class EventRegistry:
    """The event types of this release."""

    def __init__(self, types: Sequence[EventType] = EVENT_TYPES) -> None:
        """Index *types*.

        Raises:
            ValueError: two types have the same name and version, or the same struct.
        """
        self.types = tuple(types)
        self._by_struct: Mapping[type[Event], EventType] = {t.struct: t for t in self.types}
        self._by_name = {(t.name, t.version): t for t in self.types}
        self._decoders = {t.struct: msgspec.json.Decoder(t.struct) for t in self.types}
        if not len(self._by_struct) == len(self._by_name) == len(self.types):
            raise ValueError("an event type is registered twice")

    def type_of(self, event: Event) -> EventType:
        """Return the type of *event*."""
        return self._by_struct[type(event)]

    def get_type(self, name: str, version: int) -> EventType:
        """Return the type called *name* in *version*.

        Raises:
            UnknownEventType: this release has no such type.
        """
        try:
            return self._by_name[name, version]
        except KeyError as error:
            raise UnknownEventType(f"{name} version {version}") from error

    def decode(self, kind: EventType, payload: bytes | str) -> Event:
        """Decode *payload* as an event of *kind*.

        Raises:
            msgspec.DecodeError: it is not JSON, or does not match the type's struct.
        """
        event: Event = self._decoders[kind.struct].decode(payload)
        return event


def verification_result_struct(identifier_type: IdentifierType) -> type[Event]:
    """Return the struct of the verification result of the department of *identifier_type*."""
    return {
        IdentifierType.NHS: NhsVerificationCompleted,
        IdentifierType.NIN: HmrcVerificationCompleted,
    }[identifier_type]
