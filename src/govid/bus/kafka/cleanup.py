"""Starts parts of aiokafka so that they can be stopped, and ends what a stop cut short left.

Kafka may fall silent at any moment, so each step has a bound. A cancelled start that is stopped
thereafter takes all of them, and must be over before whoever runs it gives up waiting.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

GRACE_SECONDS = 0.3
"""How long a cancelled start may take to come to its own end."""
CANCEL_SECONDS = 0.2
"""How long a cancelled task may take to notice."""
POLITE_SECONDS = 1.0
"""How long a producer may flush, and a consumer take leave of its group."""
LONGEST_SECONDS = GRACE_SECONDS + CANCEL_SECONDS + POLITE_SECONDS + CANCEL_SECONDS


def silence_aiokafka() -> None:
    """Silence aiokafka: it logs keys and values, and floods while Kafka is away; we say it once."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)


async def start(part: Any) -> None:
    """Start *part*, a producer, a consumer or an admin client.

    A start that is cancelled may come to its end first, within a bound. The connection of one that
    does not is closed here: it is in nobody's list before Kafka has answered its first question.
    """
    starting = asyncio.create_task(part.start())
    try:
        await asyncio.wait([starting])
        if starting.cancelled():
            raise KafkaConnectionError("the start was cancelled by aiokafka itself")
        starting.result()
    except asyncio.CancelledError:
        opened: list[AIOKafkaConnection] = []
        try:
            await asyncio.wait([starting], timeout=GRACE_SECONDS)
            opened += _connections(starting.get_coro())
            starting.cancel()
            await asyncio.wait([starting], timeout=CANCEL_SECONDS)
        finally:
            starting.cancel()
            for connection in opened:
                connection.close()
        raise


async def stop(part: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Stop *part*, and leave neither a task nor a connection of it, whatever Kafka does.

    What it does by itself waits for answers: a producer flushes, a consumer leaves its group. What
    is left then are tasks that would go on once Kafka is back, and the connections they use.
    """
    # There is no public way to any of these.
    if isinstance(part, AIOKafkaProducer):
        client, owners = part.client, (part._sender, part._message_accumulator)  # noqa: SLF001
    else:
        client, owners = part._client, (part._coordinator, part._fetcher)  # noqa: SLF001
    transports = _transports(client)
    # In a task of its own: aiokafka awaits what it has cancelled, and then its stop raises a
    # cancellation that nobody asked for. Whatever else it meets is no matter here either.
    stopping = asyncio.create_task(part.stop())
    stopping.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait([stopping], timeout=POLITE_SECONDS)
        await _cancel((part, client, *owners))
    finally:
        stopping.cancel()
        for transport in transports | _transports(client):
            transport.abort()
        for connection in client._conns.values():  # noqa: SLF001
            connection.close()
    # The loop lets go of an aborted transport in its next turn.
    await asyncio.sleep(0)


async def _cancel(owners: tuple[object, ...]) -> None:
    """Cancel all tasks that work for *owners*.

    A task is known by the object whose method it runs: aiokafka keeps no list of them.
    """
    remains = [task for task in asyncio.all_tasks() if _owner(task) in owners]
    for task in remains:
        task.cancel()
    if remains:
        await asyncio.wait(remains, timeout=CANCEL_SECONDS)


def _owner(task: asyncio.Task[Any]) -> object:
    frame = getattr(task.get_coro(), "cr_frame", None)
    # An object, so that a task without one is never taken for a part that does not exist.
    return _owner if frame is None else frame.f_locals.get("self", _owner)


def _transports(client: Any) -> set[asyncio.WriteTransport]:
    """Return what *client* is connected by: a transport that is closed politely waits to flush."""
    writers = [connection._writer for connection in client._conns.values()]  # noqa: SLF001
    return {writer.transport for writer in writers if writer is not None}


def _connections(coroutine: Any) -> Iterator[AIOKafkaConnection]:
    """Find the connections that *coroutine*, or what it waits for, holds in a variable."""
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        for value in list(frame.f_locals.values()):
            if isinstance(value, AIOKafkaConnection):
                yield value
        coroutine = coroutine.cr_await
