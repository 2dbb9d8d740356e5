"""Where the stories of `govid demo` are played: a client, made-up people, and a watcher."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import msgspec

from govid.bus import Outage
from govid.bus.contracts import IdentifierType, Topic
from govid.bus.kafka.tail import publish
from govid.bus.masking import masked
from govid.gateway.cli.casting import Casting, Player
from govid.gateway.cli.errors import Unreachable
from govid.gateway.cli.output import Output
from govid.gateway.cli.settings import Target
from govid.gateway.cli.stream import Passed, following

DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.05
TOPICS = tuple(topic for topic in Topic if topic not in {Topic.ACTIVITY, Topic.ACCESS})
"""What a story is about; `govid events tail` shows the log topics too."""
KAFKA_REMEDY = "Start `govid dev`, or set GOVID_KAFKA_BOOTSTRAP_SERVERS."
SIMULATORS_REMEDY = "`govid dev` has them; where `govid simulators` runs, say --simulators URL."

Method = Literal["GET", "POST", "PUT", "DELETE"]


class StoryBroken(AssertionError):
    """The story took another turn than it should."""


class Stage:
    """Speaks to the server as a client would, and tells what happens and what passes."""

    def __init__(
        self,
        url: str,
        place: Target,
        output: Output,
        *,
        simulators: str | None = None,
        casting: Casting | None = None,
    ) -> None:
        """Speak to *url*; watch the events of *place*; cast whom *casting* makes up.

        The simulated departments are at *simulators*, or else in the server.
        """
        self._url = url
        self._place = place
        self._output = output
        self._simulators = simulators or url
        self.matches = simulators is not None
        """Whether the server asks departments outside: who says nothing is verified by nobody."""
        self._casting = casting or Casting()
        self._stack = AsyncExitStack()
        self._seen: list[Passed] = []
        self._cast: list[Player] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Connect and begin to watch."""
        self._http = await self._stack.enter_async_context(
            httpx.AsyncClient(timeout=DEADLINE_SECONDS)
        )
        passing = await self._stack.enter_async_context(
            following(self._place, topics=TOPICS, raw=True)
        )
        watcher = asyncio.create_task(self._watch(passing))
        self._stack.callback(watcher.cancel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop watching and disconnect."""
        await self._stack.aclose()

    def tell(self, sentence: str) -> None:
        """Say what happens now."""
        self._output.line({"step": sentence}, sentence)

    def person(self, identifier_type: IdentifierType) -> Player:
        """Make somebody up who has never been here."""
        player = self._casting.person(identifier_type)
        self._cast.append(player)
        return player

    async def call(
        self, method: Method, path: str, *, token: str = "", body: Any = None
    ) -> httpx.Response:
        """Send one request, and return its answer.

        Raises:
            Unreachable: the server does not answer.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self._sent(self._url, method, path, headers=headers, json=body)

    async def visit(self, url: str, form: Mapping[str, str]) -> httpx.Response:
        """Send *form* to a page, as a browser does which is not sent on.

        Raises:
            Unreachable: nobody is there.
        """
        return await self._sent(url, "POST", "", data=form)

    async def until(
        self,
        path: str,
        reached: Callable[[httpx.Response], bool],
        goal: str,
        *,
        token: str = "",
        seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Ask for *path* until *reached* says that the answer is as wanted.

        Raises:
            StoryBroken: it was not, in so many *seconds*.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not reached(await self.call("GET", path, token=token)):
            if loop.time() > deadline:
                raise StoryBroken(f"not within {seconds:.0f} s: {goal}")
            await asyncio.sleep(POLL_SECONDS)

    async def rehearse(self, department: str, what: Literal["fault", "people"], body: str) -> None:
        """Change a simulated department.

        Raises:
            Unreachable: there is none, or it is not where it should be.
        """
        path = f"/simulator/{department}/{what}"
        answer = await self._sent(self._simulators, "PUT", path, content=body)
        if answer.status_code != HTTPStatus.NO_CONTENT:
            raise Unreachable("this story needs simulated departments.", SIMULATORS_REMEDY)

    async def introduce(self, player: Player) -> None:
        """Let the simulated department know *player*, so that they are who they say."""
        department = "nhs" if player.identifier_type is IdentifierType.NHS else "hmrc"
        await self.rehearse(department, "people", msgspec.json.encode(player.record).decode())

    async def publish(self, topic: Topic, value: dict[str, Any]) -> None:
        """Send a record as a system outside would.

        Raises:
            Unreachable: there is no Kafka.
        """
        servers = self._place.kafka_bootstrap_servers
        name = self._place.settings.bus.wire_name(topic)
        if not servers:
            raise Unreachable("this story begins on Kafka, and none is known.", KAFKA_REMEDY)
        try:
            await publish(servers, name, None, msgspec.json.encode(value))
        except Outage as error:
            raise Unreachable(
                "this story begins on Kafka, which does not answer.", KAFKA_REMEDY
            ) from error

    async def passed(self, topic: Topic, player: Player) -> None:
        """Wait until an event about *player* has passed on *topic*.

        Raises:
            StoryBroken: none came in time.
        """
        name = self._place.settings.bus.wire_name(topic)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while not any(one.topic == name and _is_about(one, player) for one in self._seen):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            raise StoryBroken(f"no event on {name}") from error

    async def _sent(self, url: str, method: Method, path: str, **more: Any) -> httpx.Response:
        try:
            return await self._http.request(method, f"{url}{path}", **more)
        except httpx.HTTPError as error:
            raise Unreachable(f"{url} does not answer.", "Is `govid dev` running?") from error

    async def _watch(self, passing: Any) -> None:
        async for one in passing:
            if not self._is_ours(one):
                continue
            self._seen.append(one)
            self._news.set()
            hidden = msgspec.structs.replace(one, payload=masked(one.payload, one.type))
            self._output.line(hidden, f"    {hidden.text()}")

    def _is_ours(self, one: Passed) -> bool:
        return any(_is_about(one, player) for player in self._cast)


def _is_about(one: Passed, player: Player) -> bool:
    # A notice of death names no account, only the identifier.
    return (bool(player.id) and one.key == player.id) or (
        isinstance(one.payload, dict)
        and one.payload.get("identifierValue") == player.identifier_value
    )
