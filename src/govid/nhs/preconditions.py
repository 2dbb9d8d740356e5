"""Which version of an appointment a citizen has read before they change it (`If-Match`)."""

import msgspec

from govid.nhs.errors import AppointmentHasChanged, VersionNeeded


class Precondition(msgspec.Struct, frozen=True):
    """The versions that a change is meant for; none of them means any."""

    tags: frozenset[str]

    @classmethod
    def of(cls, header: str | None) -> "Precondition":
        """Read `If-Match`. A weak tag is read, and matches nothing (RFC 9110, section 13.1.1).

        Raises:
            VersionNeeded: it is missing.
        """
        if header is None or not header.strip():
            raise VersionNeeded
        return cls(frozenset(one.strip() for one in header.split(",")))

    def check(self, version: int) -> None:
        """Let *version* pass.

        Raises:
            AppointmentHasChanged: it is not what was read.
        """
        if self.tags.isdisjoint({"*", tag_of(version)}):
            raise AppointmentHasChanged


def tag_of(version: int) -> str:
    """Return *version* as `ETag` has it."""
    return f'"{version}"'
