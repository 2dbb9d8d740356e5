"""Checks the headers of BaRS requests and parses their parameters and bodies."""

import binascii
from base64 import b64decode
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request

from govid.nhs.simulator.bars_errors import BarsError, bad_request, bad_target, receiver_error
from govid.nhs.simulator.bars_resources import parse_time

REST_VERSIONS = frozenset({"1.1.0", "1.2.0", "1.3.0", "1.4.0"})
VERSIONS = REST_VERSIONS | {"1.0.0"}

AnyRequest = Request[Any, Any, Any]


def check_ids(request: AnyRequest) -> None:
    """Require a request id and a correlation id.

    Raises:
        BarsError: one of them is missing or not a UUID.
    """
    for name in ("X-Request-Id", "X-Correlation-Id"):
        try:
            UUID(request.headers.get(name, ""))
        except ValueError:
            raise BarsError(400, "BAD_REQUEST", "invalid", f"{name} is needed") from None


def check_target(header: str | None) -> None:
    """Require a target that is a known service; test targets respond with an error.

    Raises:
        BarsError: the target is missing, malformed, unknown, or a test target.
    """
    if header is None:
        raise BarsError(400, "BAD_REQUEST", "invalid", "NHSD-Target-Identifier is needed")
    try:
        decoded = b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        text = "The base64 decoding of the NHSD-Target-Identifier header failed."
        raise bad_target(text) from None
    try:
        target = msgspec.json.decode(decoded, type=dict[str, str])
        system, value = target["system"], target["value"]
    except (msgspec.DecodeError, KeyError):
        raise bad_target("Invalid schema for NHSD-Target-Identifier header") from None
    if system == "tests":
        # Published targets that respond with the error in their name: NHS0001-409.
        raise receiver_error(int(value.rpartition("-")[2]))
    if not value.startswith("2000"):
        raise BarsError(404, "PROXY_NOT_FOUND", "not-found", "no such target")


def check_version(request: AnyRequest, allow: str | None) -> None:
    """Require a known version; with *allow*, one that has REST verbs and not only messages.

    Raises:
        BarsError: the version is unknown or lacks this verb.
    """
    _, _, version = request.headers.get("accept", "").replace(" ", "").partition(";version=")
    version = version or "1.0.0"
    if version not in VERSIONS:
        raise receiver_error(406)
    if allow is not None and version not in REST_VERSIONS:
        raise BarsError(405, "SEND_METHOD_NOT_ALLOWED", "not-supported", headers={"Allow": allow})


def parse_bound(values: list[str], prefix: str) -> datetime:
    """Return the first of *values* with *prefix* as a time.

    Raises:
        BarsError: no value has the prefix, or it is no time.
    """
    for one in values:
        if one.startswith(prefix):
            try:
                # A plus sign that was not percent-encoded arrives as a space.
                return parse_time(one.removeprefix(prefix).replace(" ", "+"))
            except ValueError:
                break
    raise bad_request("a beginning and an end are needed")


def parse_if_match(request: AnyRequest) -> int:
    """Return the version in `If-Match`.

    Raises:
        BarsError: the header is missing or malformed.
    """
    header = request.headers.get("if-match", "").removeprefix("W/").strip('"')
    if not header.isdecimal():
        raise bad_request("If-Match is needed")
    return int(header)


async def read_body(request: AnyRequest) -> dict[str, Any]:
    """Return the body as a JSON object.

    Raises:
        BarsError: it is not one.
    """
    try:
        return msgspec.json.decode(await request.body(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_request("the body is not a resource") from None
