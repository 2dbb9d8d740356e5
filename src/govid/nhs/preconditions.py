"""Evaluates `If-Match` preconditions against the version of an appointment (RFC 9110)."""

import re

import msgspec

from govid.nhs.errors import AppointmentHasChanged, IfMatchRequired

_PROXY_TAG = re.compile(
    r'(?:W/)?"(?P<version>[0-9]+)(?:[-;](?:gzip|br|deflate|zstd|df))?"', re.ASCII
)


class Precondition(msgspec.Struct, frozen=True):
    """Entity tags of an `If-Match` header; `*` matches every version."""

    etags: frozenset[str]

    @classmethod
    def from_header(cls, header: str | None) -> "Precondition":
        """Parse the `If-Match` header.

        A proxy that compresses a response changes its tag: nginx makes it weak (`W/"2"`), Apache
        appends the coding (`"2-gzip"`). Such a tag matches the version it was made from, because a
        change refers to the version and not to the coding.

        Raises:
            IfMatchRequired: the header is missing.
        """
        if header is None or not header.strip():
            raise IfMatchRequired
        return cls(frozenset(map(_original, header.split(","))))

    def require_version(self, version: int) -> None:
        """Require that the client has read *version*.

        Raises:
            AppointmentHasChanged: the client has read another version.
        """
        if self.etags.isdisjoint({"*", format_etag(version)}):
            raise AppointmentHasChanged


def format_etag(version: int) -> str:
    """Return the `ETag` of *version*."""
    return f'"{version}"'


def _original(tag: str) -> str:
    """Return *tag* as govid sent it, before a proxy compressed the response."""
    found = _PROXY_TAG.fullmatch(tag.strip())
    return f'"{found["version"]}"' if found else tag.strip()
