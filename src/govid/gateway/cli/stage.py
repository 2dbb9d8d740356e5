"""Where the stories of `govid demo` are played: a client, a made-up person, and a watcher."""

import asyncio
import random
import secrets
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import msgspec

from govid.bus import Outage
from govid.bus.contracts import IdentifierType, Topic
from govid.bus.kafka.tail import publish
from govid.bus.masking import masked
from govid.gateway.cli.errors import Unreachable
from govid.gateway.cli.output import Output
from govid.gateway.cli.settings import Target
from govid.gateway.cli.stream import Passed, following
from govid.gateway.devserver.people import DRAMA_PHONE, synthetic_nhs_number

DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.05
TOPICS = tuple(topic for topic in Topic if topic not in {Topic.ACTIVITY, Topic.ACCESS})
"""What a story is about; `govid events tail` shows the log topics too."""
KAFKA_REMEDY = "Start `govid dev`, or set GOVID_KAFKA_BOOTSTRAP_SERVERS."


class StoryBroken(AssertionError):
    """The story took another turn than it should."""


class Player(msgspec.Struct, kw_only=True):
    """The made-up person of one story."""

    email: str
    password: str
    identifier_type: IdentifierType
    identifier_value: str
    phone_number: str
    id: str = ""
    token: str = ""

    def __repr__(self) -> str:
        """Name the account only."""
        return f"<Player {self.id}>"


class Stage:
    """Speaks to the server as a client would, and tells what happens and what passes."""

    def __init__(self, url: str, place: Target, output: Output) -> None:
        """Speak to *url*; watch the events of *place*."""
        self._url = url
        self._place = place
        self._output = output
        self._stack = AsyncExitStack()
        self._seen: list[Passed] = []
        self._cast: list[Player] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Connect and begin to watch."""
        self._http = await self._stack.enter_async_context(
            httpx.AsyncClient(base_url=self._url, timeout=DEADLINE_SECONDS)
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
        rng = random.SystemRandom()
        player = Player(
            email=f"demo-{secrets.token_hex(6)}@example.com",
            password=secrets.token_urlsafe(12),
            identifier_type=identifier_type,
            identifier_value=(
                synthetic_nhs_number(rng) if identifier_type is IdentifierType.NHS else _nino(rng)
            ),
            phone_number=DRAMA_PHONE.format(rng.randrange(1000)),
        )
        self._cast.append(player)
        return player

    async def call(
        self, method: Literal["GET", "POST"], path: str, *, token: str = "", body: Any = None
    ) -> httpx.Response:
        """Send one request and tell its answer's status.

        Raises:
            Unreachable: the server does not answer.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            return await self._http.request(method, path, headers=headers, json=body)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._url} does not answer.", "Is `govid dev` running?") from error

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


def _nino(rng: random.Random) -> str:
    prefix = rng.choice(("AA", "CE", "HT", "JY", "LR", "PX", "SB", "WM"))
    return f"{prefix}{rng.randrange(10**6):06d}{rng.choice('ABCD')}"
