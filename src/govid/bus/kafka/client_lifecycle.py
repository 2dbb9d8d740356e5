"""Starts and stops aiokafka clients within bounds, and closes what an interrupted stop leaves.

Kafka may stop answering at any moment, so each step has a time limit. A start that is cancelled and
then stopped uses all of them (`MAX_STOP_SECONDS`); callers have to wait longer than that.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, KafkaError

from govid.bus.shared.errors import Outage

START_GRACE_SECONDS = 0.3
"""How long a cancelled start may take to finish by itself."""
CANCEL_SECONDS = 0.2
"""How long a cancelled task may take to end."""
STOP_GRACE_SECONDS = 1.0
"""How long a producer may flush, or a consumer leave its group."""
MAX_STOP_SECONDS = START_GRACE_SECONDS + CANCEL_SECONDS + STOP_GRACE_SECONDS + CANCEL_SECONDS


CLIENT_ERRORS = (KafkaError, OSError)
"""The errors of a client whose broker cannot be reached, refuses a request or answers too late."""


@contextmanager
def translate_client_errors() -> Iterator[None]:
    """Translate every failure of Kafka in the block to an outage.

    Raises:
        Outage: Kafka does not answer, or refuses a request.
    """
    try:
        yield
    except CLIENT_ERRORS as error:
        raise Outage("kafka") from error


def silence_client_logs() -> None:
    """Silence the logs of aiokafka.

    They contain keys and values, and repeat every error while Kafka is unavailable. govid logs an
    outage once.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)


async def start_client(client: Any) -> None:
    """Start *client*, a producer, a consumer or an admin client.

    A cancelled start may finish by itself within a time limit. If it does not, its connections are
    closed here: aiokafka does not list them before Kafka has answered the first request.
    """
    starting = asyncio.create_task(client.start())
    try:
        await asyncio.wait([starting])
        if starting.cancelled():
            raise KafkaConnectionError("the start was cancelled by aiokafka itself")
        starting.result()
    except asyncio.CancelledError:
        opened: list[AIOKafkaConnection] = []
        try:
            await asyncio.wait([starting], timeout=START_GRACE_SECONDS)
            opened += _find_connections(starting.get_coro())
            starting.cancel()
            await asyncio.wait([starting], timeout=CANCEL_SECONDS)
        finally:
            starting.cancel()
            for connection in opened:
                connection.close()
        raise


async def stop_client(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Stop *client* without leaving a task or a connection, even if Kafka does not answer.

    The stop of aiokafka waits for answers: a producer flushes, a consumer leaves its group. If it
    is interrupted, it leaves tasks that would continue once Kafka is back, and their connections.
    """
    # aiokafka has no public access to any of these.
    if isinstance(client, AIOKafkaProducer):
        network = client.client
        owners = (client._sender, client._message_accumulator)  # noqa: SLF001
    else:
        network = client._client  # noqa: SLF001
        owners = (client._coordinator, client._fetcher)  # noqa: SLF001
    transports = _find_transports(network)
    # In a separate task: aiokafka awaits the tasks that it has cancelled, and then its stop raises
    # a cancellation that no caller requested. Other errors of the stop do not matter either.
    stopping = asyncio.create_task(client.stop())
    stopping.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait([stopping], timeout=STOP_GRACE_SECONDS)
        await _cancel_tasks((client, network, *owners))
    finally:
        stopping.cancel()
        for transport in transports | _find_transports(network):
            transport.abort()
        for connection in network._conns.values():  # noqa: SLF001
            connection.close()
    # The event loop releases an aborted transport in its next iteration.
    await asyncio.sleep(0)


async def close_connection(connection: AIOKafkaConnection) -> None:
    """Close *connection*, and wait for a moment until its socket is closed.

    Otherwise a process that ends soon leaves it open.
    """
    closed = connection.close()
    if closed is not None:
        await asyncio.wait([closed], timeout=CANCEL_SECONDS)


async def _cancel_tasks(owners: tuple[object, ...]) -> None:
    """Cancel all tasks of *owners*.

    A task is identified by the object whose method it runs: aiokafka keeps no list of tasks.
    """
    remains = [task for task in asyncio.all_tasks() if _find_owner(task) in owners]
    for task in remains:
        task.cancel()
    if remains:
        await asyncio.wait(remains, timeout=CANCEL_SECONDS)


def _find_owner(task: asyncio.Task[Any]) -> object:
    frame = getattr(task.get_coro(), "cr_frame", None)
    # A unique object, so that a task without a frame never matches an owner that is None.
    return _find_owner if frame is None else frame.f_locals.get("self", _find_owner)


def _find_transports(network: Any) -> set[asyncio.WriteTransport]:
    """Return the open transports of *network*; closing one gracefully would wait for its flush."""
    writers = [connection._writer for connection in network._conns.values()]  # noqa: SLF001
    return {writer.transport for writer in writers if writer is not None}


def _find_connections(coroutine: Any) -> Iterator[AIOKafkaConnection]:
    """Yield the connections in local variables of *coroutine* and of the coroutines it awaits."""
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        for value in list(frame.f_locals.values()):
            if isinstance(value, AIOKafkaConnection):
                yield value
        coroutine = coroutine.cr_await
