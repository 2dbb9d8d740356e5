"""Starts the embedded backends of `govid dev`: PostgreSQL and an in-memory Kafka."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import msgspec

from govid.gateway.devserver.kafka import MockKafka
from govid.gateway.devserver.postgres import ROOT_NOTICE, EmbeddedPostgres, choose_data_folder
from govid.gateway.devserver.state import DevState, StateFolder
from govid.gateway.settings import Settings


class EmbeddedBackends(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded backends that were started; None for one that the user has configured."""

    postgres: EmbeddedPostgres | None
    kafka: MockKafka | None

    def overrides(self) -> dict[str, object]:
        """Return the settings with the addresses of the backends."""
        found: dict[str, object] = {}
        if self.postgres is not None:
            found["GOVID_DATABASE_URL"] = self.postgres.url
        if self.kafka is not None:
            found["GOVID_KAFKA_BOOTSTRAP_SERVERS"] = self.kafka.bootstrap_servers
            found["GOVID_KAFKA_GENERATION"] = self.kafka.generation
        return found


def start_backends(
    stack: ExitStack,
    settings: Settings,
    folder: StateFolder,
    state: DevState,
    *,
    report: Callable[[str], None],
    during_start: Callable[[], object],
) -> EmbeddedBackends:
    """Start each backend that *settings* do not name; *stack* stops it again.

    The folder of the database is stored in *state*. *meanwhile* is called while PostgreSQL starts
    in its own processes; *say* receives sentences for the terminal.

    Raises:
        CannotStart: one of them did not start.
    """
    postgres = None
    if not settings.is_set("GOVID_DATABASE_URL"):
        postgres_folder, reason = choose_data_folder(folder.path, state.postgres_folder)
        for sentence in (reason, ROOT_NOTICE if os.geteuid() == 0 else None):
            if sentence is not None:
                report(sentence)
        if not postgres_folder.exists():
            report("Preparing the database. Later starts are faster.")
        state.postgres_folder = str(postgres_folder)
        folder.write(state)
        postgres = EmbeddedPostgres(postgres_folder, report)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(stack.enter_context, postgres) if postgres is not None else None
        during_start()
        kafka = None
        if not settings.is_set("GOVID_KAFKA_BOOTSTRAP_SERVERS"):
            kafka = stack.enter_context(MockKafka())
        if started is not None:
            started.result()
    return EmbeddedBackends(postgres=postgres, kafka=kafka)
