"""Which version of an appointment a citizen has read before they change it (`If-Match`)."""

import re

import msgspec

from govid.nhs.errors import AppointmentHasChanged, VersionNeeded

_CHANGED_TAG = re.compile(
    r'(?:W/)?"(?P<version>[0-9]+)(?:[-;](?:gzip|br|deflate|zstd|df))?"', re.ASCII
)


class Precondition(msgspec.Struct, frozen=True):
    """The versions that a change is meant for; none of them means any."""

    tags: frozenset[str]

    @classmethod
    def of(cls, header: str | None) -> "Precondition":
        """Read `If-Match`.

        A proxy that compresses an answer changes its tag: nginx makes it weak (`W/"2"`), Apache
        appends the coding (`"2-gzip"`). Such a tag stands for the version that it was made of,
        because the version and not the coding is what a change is meant for.

        Raises:
            VersionNeeded: it is missing.
        """
        if header is None or not header.strip():
            raise VersionNeeded
        return cls(frozenset(map(_original, header.split(","))))

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


def _original(tag: str) -> str:
    """Return *tag* as govid made it, before a proxy compressed the answer."""
    found = _CHANGED_TAG.fullmatch(tag.strip())
    return f'"{found["version"]}"' if found else tag.strip()
