"""Runs the scenarios of `govid demo`: an HTTP client, synthetic people and an event follower."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import msgspec

from govid.bus import Outage
from govid.bus.events import IdentifierType, Topic
from govid.bus.events.masking import mask_payload
from govid.bus.kafka.topic_tail import publish_record
from govid.gateway.cli.demo.people import DemoPeople, DemoPerson
from govid.gateway.cli.errors import BackendUnreachable
from govid.gateway.cli.events import ObservedEvent, follow_events
from govid.gateway.cli.output import Output
from govid.gateway.cli.target import Installation

DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.05
TOPICS = tuple(topic for topic in Topic if topic not in {Topic.ACTIVITY, Topic.ACCESS})
"""The topics shown during a scenario; `govid events tail` shows the log topics too."""
KAFKA_REMEDY = "Start `govid dev`, or set GOVID_KAFKA_BOOTSTRAP_SERVERS."
SIMULATORS_REMEDY = "`govid dev` has them; for `govid simulators` give --simulators URL."

Method = Literal["GET", "POST", "PUT", "DELETE"]


class ScenarioFailed(AssertionError):
    """A scenario did not go as expected."""


class ScenarioRunner:
    """Sends requests to the server like a client, and prints the steps and events of a scenario."""

    def __init__(
        self,
        url: str,
        installation: Installation,
        output: Output,
        *,
        simulators: str | None = None,
        people: DemoPeople | None = None,
    ) -> None:
        """Send requests to *url*, follow the events of *installation*, create *people*.

        The simulated departments run at *simulators*, or in the server if that is None.
        """
        self._url = url
        self._installation = installation
        self._output = output
        self._simulators = simulators or url
        self.uses_external_simulators = simulators is not None
        """Whether the departments run outside the server. They then verify claimed facts only."""
        self._people = people or DemoPeople()
        self._stack = AsyncExitStack()
        self._seen_events: list[ObservedEvent] = []
        self._shown_people: list[DemoPerson] = []
        self._new_event = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Connect, and begin to follow events."""
        self._http = await self._stack.enter_async_context(
            httpx.AsyncClient(timeout=DEADLINE_SECONDS)
        )
        events = await self._stack.enter_async_context(
            follow_events(self._installation, topics=TOPICS, raw=True)
        )
        follower = asyncio.create_task(self._follow(events))
        self._stack.callback(follower.cancel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop following events, and disconnect."""
        await self._stack.aclose()

    def narrate(self, sentence: str) -> None:
        """Print one step of the scenario."""
        self._output.print_item({"step": sentence}, sentence)

    def create_person(self, identifier_type: IdentifierType) -> DemoPerson:
        """Create a new synthetic person, whose events are shown from now on."""
        person = self._people.create_person(identifier_type)
        self._shown_people.append(person)
        return person

    async def send_request(
        self, method: Method, path: str, *, token: str = "", body: Any = None
    ) -> httpx.Response:
        """Send one request and return its response.

        Raises:
            BackendUnreachable: the server does not answer.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self._send(self._url, method, path, headers=headers, json=body)

    async def submit_form(self, url: str, form: Mapping[str, str]) -> httpx.Response:
        """Submit *form* to a page like a browser, without following a redirect.

        Raises:
            BackendUnreachable: the page does not answer.
        """
        return await self._send(url, "POST", "", data=form)

    async def wait_until(
        self,
        path: str,
        is_reached: Callable[[httpx.Response], bool],
        goal: str,
        *,
        token: str = "",
        seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Poll *path* until *is_reached* accepts the response.

        Raises:
            ScenarioFailed: it did not within *seconds*.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not is_reached(await self.send_request("GET", path, token=token)):
            if loop.time() > deadline:
                raise ScenarioFailed(f"not within {seconds:.0f} s: {goal}")
            await asyncio.sleep(POLL_SECONDS)

    async def configure_simulator(
        self, department: str, resource: Literal["fault", "people"], body: str
    ) -> None:
        """Set the faults or add people of a simulated department.

        Raises:
            BackendUnreachable: there is no simulated department at this URL.
        """
        path = f"/simulator/{department}/{resource}"
        answer = await self._send(self._simulators, "PUT", path, content=body)
        if answer.status_code != HTTPStatus.NO_CONTENT:
            raise BackendUnreachable(
                "this scenario needs simulated departments.", SIMULATORS_REMEDY
            )

    async def add_to_department(self, person: DemoPerson) -> None:
        """Add *person* to the simulated department, so that it verifies them."""
        department = "nhs" if person.identifier_type is IdentifierType.NHS else "hmrc"
        await self.configure_simulator(
            department, "people", msgspec.json.encode(person.department_record).decode()
        )

    async def publish_record(self, topic: Topic, value: dict[str, Any]) -> None:
        """Publish a record to Kafka like an external system.

        Raises:
            BackendUnreachable: no Kafka is configured, or it does not answer.
        """
        name = self._installation.settings.bus.wire_name(topic)
        if not self._installation.kafka_bootstrap_servers:
            raise BackendUnreachable(
                "this scenario begins on Kafka, and none is configured.", KAFKA_REMEDY
            )
        try:
            await publish_record(
                self._installation.kafka_clients, name, None, msgspec.json.encode(value)
            )
        except Outage as error:
            raise BackendUnreachable(
                "this scenario begins on Kafka, which does not answer.", KAFKA_REMEDY
            ) from error

    async def wait_for_event(self, topic: Topic, person: DemoPerson) -> None:
        """Wait until an event about *person* was published on *topic*.

        Raises:
            ScenarioFailed: none was within the deadline.
        """
        name = self._installation.settings.bus.wire_name(topic)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not any(
                    one.topic == name and _is_about(one, person) for one in self._seen_events
                ):
                    self._new_event.clear()
                    await self._new_event.wait()
        except TimeoutError as error:
            raise ScenarioFailed(f"no event on {name}") from error

    async def _send(self, url: str, method: Method, path: str, **more: Any) -> httpx.Response:
        try:
            return await self._http.request(method, f"{url}{path}", **more)
        except httpx.HTTPError as error:
            raise BackendUnreachable(
                f"{url} does not answer.", "Is `govid dev` running?"
            ) from error

    async def _follow(self, events: AsyncIterator[ObservedEvent]) -> None:
        async for one in events:
            if not self._is_shown(one):
                continue
            self._seen_events.append(one)
            self._new_event.set()
            redacted = msgspec.structs.replace(one, payload=mask_payload(one.payload, one.type))
            self._output.print_item(redacted, f"    {redacted.format_line()}")

    def _is_shown(self, event: ObservedEvent) -> bool:
        return any(_is_about(event, subject) for subject in self._shown_people)


def _is_about(event: ObservedEvent, person: DemoPerson) -> bool:
    # A death notice has no account id, only the identifier.
    return (bool(person.id) and event.key == person.id) or (
        isinstance(event.payload, dict)
        and event.payload.get("identifierValue") == person.identifier_value
    )
