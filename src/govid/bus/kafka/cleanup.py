"""Starts parts of aiokafka so that they can be stopped, and ends what a stop cut short left."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError

SECONDS = 1.0
STOP_SECONDS = 2.0


async def start(part: Any) -> None:
    """Start *part*, a producer, a consumer or an admin client.

    A start that is cancelled may come to its end first, within a bound. The connection of one that
    does not is closed here: it is in nobody's list before Kafka has answered its first question.
    """
    starting = asyncio.create_task(part.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=SECONDS)
        opened = list(_connections(starting.get_coro()))
        starting.cancel()
        await asyncio.wait([starting], timeout=SECONDS)
        for connection in opened:
            connection.close()
        raise


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Stop *consumer* within a bound.

    Leaving its group waits for an answer, and it does not always notice that its fetching was
    cancelled.
    """
    with suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(consumer.stop(), STOP_SECONDS)
    # There is no public way to them.
    await discard((consumer._coordinator, consumer._fetcher), consumer._client)  # noqa: SLF001


async def discard(owners: Sequence[object], client: Any) -> None:
    """Cancel all tasks that work for *owners*, and close the connections of *client*.

    A task is known by the object whose method it runs: aiokafka keeps no list of them.
    """
    remains = [task for task in asyncio.all_tasks() if _owner(task) in owners]
    for task in remains:
        task.cancel()
    if remains:
        await asyncio.wait(remains, timeout=SECONDS)
    with suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(client.close(), SECONDS)


def _owner(task: asyncio.Task[Any]) -> object:
    frame = getattr(task.get_coro(), "cr_frame", None)
    # An object, so that a task without one is never taken for a part that does not exist.
    return _owner if frame is None else frame.f_locals.get("self", _owner)


def _connections(coroutine: Any) -> Iterator[AIOKafkaConnection]:
    """Find the connections that *coroutine*, or what it waits for, holds in a variable."""
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        for value in list(frame.f_locals.values()):
            if isinstance(value, AIOKafkaConnection):
                yield value
        coroutine = coroutine.cr_await
