"""A memory of a second that is never believed when it could be wrong."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from govid.identity.sessions.remembered import AGE_SECONDS, REMEMBERED, Remembered

ACCOUNT, SESSION, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


class Rows:
    """A reader that answers as it is told, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.row: Sequence[Any] | None = ("alive",)
        self.meanwhile: Callable[[], None] = lambda: None

    async def find(self, session_id: UUID, account_id: UUID) -> Sequence[Any] | None:
        self.asked += 1
        row = self.row
        self.meanwhile()
        return row


class Surroundings:
    """A clock that stands where it is put, and whether others are heard."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.now = 100.0
        self.hears = True
        self.memory = Remembered(self.rows, lambda: self.hears, lambda: self.now)

    async def find(self, account_id: UUID = ACCOUNT) -> Sequence[Any] | None:
        return await self.memory.find(SESSION, account_id)


@pytest.fixture
def around() -> Surroundings:
    """Return a memory and what it depends on."""
    return Surroundings()


async def test_what_was_found_is_believed_for_a_second(around: Surroundings) -> None:
    await around.find()
    around.now += AGE_SECONDS
    assert await around.find() == ("alive",)
    assert around.rows.asked == 1


async def test_r12_and_not_longer(around: Surroundings) -> None:
    await around.find()
    around.now += AGE_SECONDS + 0.001
    around.rows.row = None
    assert await around.find() is None


async def test_r12_its_age_counts_from_the_question(around: Surroundings) -> None:
    def slowly() -> None:
        around.now += 0.9

    around.rows.meanwhile = slowly
    await around.find()
    around.now += 0.2
    await around.find()
    assert around.rows.asked == 2


async def test_r12_nothing_is_believed_by_who_does_not_hear(around: Surroundings) -> None:
    await around.find()
    around.hears = False
    around.rows.row = None
    assert await around.find() is None


async def test_r12_what_is_read_without_hearing_is_not_remembered(around: Surroundings) -> None:
    around.hears = False
    await around.find()
    around.hears = True
    around.rows.row = None
    assert await around.find() is None


async def test_r12_an_end_during_the_question_keeps_the_answer_from_being_remembered(
    around: Surroundings,
) -> None:
    around.rows.meanwhile = lambda: around.memory.forget(ACCOUNT)
    await around.find()
    around.rows.row = None
    assert await around.find() is None


async def test_a_dead_session_is_asked_about_again(around: Surroundings) -> None:
    around.rows.row = None
    assert await around.find() is None
    around.rows.row = ("alive",)
    assert await around.find() == ("alive",)


async def test_a_session_remembered_for_one_account_is_not_anothers(around: Surroundings) -> None:
    await around.find()
    around.rows.row = None
    assert await around.find(OTHER) is None


@pytest.mark.parametrize(
    "forget",
    [
        lambda memory: memory.forget(ACCOUNT),
        lambda memory: memory.forget_session(SESSION),
        lambda memory: memory.forget_all(),
    ],
    ids=["account", "session", "all"],
)
async def test_r12_what_is_forgotten_is_asked_about(
    around: Surroundings, forget: Callable[[Remembered], None]
) -> None:
    await around.find()
    forget(around.memory)
    around.rows.row = None
    assert await around.find() is None


async def test_another_accounts_end_forgets_nothing(around: Surroundings) -> None:
    await around.find()
    around.memory.forget(OTHER)
    around.memory.forget_session(OTHER)
    await around.find()
    assert around.rows.asked == 1


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert REMEMBERED == 10_000
    monkeypatch.setattr("govid.identity.sessions.remembered.REMEMBERED", 2)
    around = Surroundings()
    await around.memory.find(SESSION, ACCOUNT)
    await around.memory.find(OTHER, ACCOUNT)
    await around.memory.find(ACCOUNT, ACCOUNT)
    assert list(around.memory._found) == [OTHER, ACCOUNT]
