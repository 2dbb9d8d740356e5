"""Wraps simulated departments: a marker header, fault injection and a rate limit (token bucket).

For `govid dev`, tests and demonstrations only. A simulator is an ASGI application, and
`SimulatedUpstream` wraps it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, MutableMapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Self

import msgspec

from govid.bus.shared.clock import Clock

__all__ = ["ErrorBodyFactory", "FaultInjector", "InjectedFault", "SimulatedUpstream", "TokenBucket"]


class TokenBucket:
    """A token-bucket rate limit: tokens arrive evenly, and at most one second's worth is kept."""

    def __init__(self, per_second: float | None, clock: Clock) -> None:
        """Add *per_second* tokens a second; None means no limit."""
        self._rate = per_second
        self._clock = clock
        self._tokens = per_second or 0.0
        self._filled_at = clock.now()

    def try_acquire(self) -> bool:
        """Take a token if there is one; tell whether there was."""
        if self._rate is None:
            return True
        now = self._clock.now()
        earned = (now - self._filled_at).total_seconds() * self._rate
        self._tokens = min(self._rate, self._tokens + max(0.0, earned))
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class InjectedFault(StrEnum):
    """A fault that a simulator can inject in place of its answer."""

    TOO_MANY_REQUESTS = "429"
    UNAVAILABLE = "503"
    TIMEOUT = "timeout"
    SLOW = "slow"
    MALFORMED = "malformed"
    RESET = "reset"
    GIANT = "giant"
    WRONG_TYPE = "wrong-type"
    PERSONAL_DATA = "personal-data"
    OTHER_PERSON = "other-person"


class FaultRate(msgspec.Struct, frozen=True):
    """One fault, and the share of calls that it affects."""

    fault: InjectedFault
    rate: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse *text*: `503`, or `503:0.2` for about every fifth call.

        Raises:
            ValueError: there is no such fault, or the share is not between 0 and 1.
        """
        name, _, part = text.partition(":")
        share = float(part) if part else 1.0
        if not 0 <= share <= 1:
            raise ValueError("the share of a fault is a number between 0 and 1")
        return cls(InjectedFault(name), share)


class FaultInjector:
    """Decides which fault the next call of one simulator gets. Can be changed while it runs."""

    def __init__(self, text: str = "", *, seed: int = 0) -> None:
        """Start with the fault that *text* names, if any; *seed* makes a run repeatable."""
        self._random = random.Random(seed)  # noqa: S311 - not a secret
        self._fault_rate: FaultRate | None = None
        self.set_fault(text)

    def set_fault(self, text: str) -> None:
        """Set the fault to inject; an empty *text* ends it.

        Raises:
            ValueError: *text* names no fault.
        """
        self._fault_rate = FaultRate.parse(text) if text else None

    def next_fault(self) -> InjectedFault | None:
        """Return the fault to inject into the next call, if any."""
        share = self._fault_rate
        if share is None or self._random.random() >= share.rate:
            return None
        return share.fault


Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ErrorBodyFactory = Callable[[int, str], tuple[bytes, str]]
"""Builds the error body that an API sends with a status on a path, and its media type."""

FAULT_HEADER = b"x-sim-fault"
SIMULATOR_HEADER = (b"x-simulator", b"govid")
RETRY_AFTER = b"5"
SLOW_SECONDS = 1.0
GIANT_BYTES = 4 * 1024 * 1024
FAULT_PATH = "/simulator/{}/fault"
"""The path that sets the fault while the simulator runs: PUT, with the fault as the body."""


class SimulatedUpstream:
    """An ASGI application that wraps a simulator's own application.

    A fault is chosen by the header `X-Sim-Fault`, which only tests send, or by *faults*. The fault
    `other-person` is carried out by the wrapped application, which finds the fault in
    `scope["govid.fault"]`.
    """

    def __init__(
        self, name: str, application: Any, faults: FaultInjector, error_body: ErrorBodyFactory
    ) -> None:
        """Wrap *application* as *name*; *error_body* builds the bodies of its errors."""
        self._fault_path = FAULT_PATH.format(name)
        self._application: Application = application
        self._error_body = error_body
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, with or without a fault."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        marked_send = _mark_as_simulated(send)
        if scope["path"] == self._fault_path and scope["method"] == "PUT":
            await self._handle_fault_request(receive, marked_send)
            return
        fault = self._choose_fault(scope)
        scope["govid.fault"] = fault
        await self._respond_with(fault, scope, receive, marked_send)

    def _choose_fault(self, scope: Scope) -> InjectedFault | None:
        asked = dict(scope["headers"]).get(FAULT_HEADER)
        return InjectedFault(asked.decode()) if asked else self.faults.next_fault()

    async def _handle_fault_request(self, receive: Receive, send: Send) -> None:
        try:
            self.faults.set_fault((await _read_body(receive)).decode().strip())
        except ValueError:
            await _respond(send, HTTPStatus.BAD_REQUEST, b"no such fault", "text/plain")
        else:
            await _respond(send, HTTPStatus.NO_CONTENT, b"", "text/plain")

    async def _respond_with(
        self, fault: InjectedFault | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        match fault:
            case InjectedFault.TOO_MANY_REQUESTS | InjectedFault.UNAVAILABLE:
                status = int(fault.value)
                body, kind = self._error_body(status, scope["path"])
                await _respond(send, status, body, kind, (b"retry-after", RETRY_AFTER))
            case InjectedFault.PERSONAL_DATA:
                body = b'{"message":"no answer for Jane Canary, 943 476 5919, AA000003D, LS1 6AE"}'
                await _respond(send, HTTPStatus.INTERNAL_SERVER_ERROR, body)
            case InjectedFault.TIMEOUT:
                await _wait_for_disconnect(receive)
            case InjectedFault.GIANT:
                body = b'{"giant":"' + b"x" * GIANT_BYTES + b'"}'
                await _respond(send, HTTPStatus.OK, body)
            case InjectedFault.WRONG_TYPE:
                await _respond(send, HTTPStatus.OK, b"<html>Maintenance</html>", "text/html")
            case InjectedFault.MALFORMED:
                await _respond(send, HTTPStatus.OK, b'{"id":"900000')
            case InjectedFault.RESET:
                await _send_truncated(send)
            case _:
                if fault is InjectedFault.SLOW:
                    await asyncio.sleep(SLOW_SECONDS)
                await self._application(scope, receive, send)


def _mark_as_simulated(send: Send) -> Send:
    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), SIMULATOR_HEADER]
        await send(message)

    return send_marked


async def _respond(
    send: Send,
    status: int,
    body: bytes,
    kind: str = "application/json",
    *headers: tuple[bytes, bytes],
) -> None:
    length = (b"content-length", str(len(body)).encode())
    head = [(b"content-type", kind.encode()), length, *headers]
    await send({"type": "http.response.start", "status": int(status), "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _send_truncated(send: Send) -> None:
    """Announce more bytes than are sent. The server closes the connection when it notices."""
    head = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b'{"id":', "more_body": True})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body
