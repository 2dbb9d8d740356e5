"""Wraps a simulator's application: marks its responses as simulated, and injects faults."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from govid.bus.simulation.faults import FaultInjector, InjectedFault

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
            await self._set_fault(receive, marked_send)
            return
        fault = self._choose_fault(scope)
        scope["govid.fault"] = fault
        await self._respond_with(fault, scope, receive, marked_send)

    def _choose_fault(self, scope: Scope) -> InjectedFault | None:
        asked = dict(scope["headers"]).get(FAULT_HEADER)
        return InjectedFault(asked.decode()) if asked else self.faults.next()

    async def _set_fault(self, receive: Receive, send: Send) -> None:
        try:
            self.faults.set((await _body(receive)).decode().strip())
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


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body
