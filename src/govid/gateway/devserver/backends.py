"""Starts the backends that the settings do not name, and tells the application where they are."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import msgspec

from govid.gateway.devserver.kafka import MockKafka
from govid.gateway.devserver.postgres import ROOT_NOTICE, EmbeddedPostgres, choose_folder
from govid.gateway.devserver.state import DevState, StateFolder
from govid.gateway.settings import Settings


class Backends(msgspec.Struct, frozen=True, kw_only=True):
    """What was started; None stands for one that is the user's own."""

    postgres: EmbeddedPostgres | None
    kafka: MockKafka | None

    def overrides(self) -> dict[str, object]:
        """Return the settings by which the application finds them."""
        found: dict[str, object] = {}
        if self.postgres is not None:
            found["GOVID_DATABASE_URL"] = self.postgres.url
        if self.kafka is not None:
            found["GOVID_KAFKA_BOOTSTRAP_SERVERS"] = self.kafka.bootstrap_servers
            found["GOVID_KAFKA_GENERATION"] = self.kafka.generation
        return found


def start(
    stack: ExitStack,
    settings: Settings,
    folder: StateFolder,
    state: DevState,
    *,
    say: Callable[[str], None],
    meanwhile: Callable[[], object],
) -> Backends:
    """Start what *settings* do not name; *stack* stops it. The database's place goes to *state*.

    *meanwhile* is called while PostgreSQL starts, which it does in processes of its own.

    Raises:
        CannotStart: one of them did not start.
    """
    postgres = None
    if not settings.is_set("GOVID_DATABASE_URL"):
        place, why = choose_folder(folder.path, state.postgres_folder)
        for sentence in (why, ROOT_NOTICE if os.geteuid() == 0 else None):
            if sentence is not None:
                say(sentence)
        if not place.exists():
            say("Preparing the database. Later starts are faster.")
        state.postgres_folder = str(place)
        folder.write(state)
        postgres = EmbeddedPostgres(place, say)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(stack.enter_context, postgres) if postgres is not None else None
        meanwhile()
        kafka = None
        if not settings.is_set("GOVID_KAFKA_BOOTSTRAP_SERVERS"):
            kafka = stack.enter_context(MockKafka())
        if started is not None:
            started.result()
    return Backends(postgres=postgres, kafka=kafka)
