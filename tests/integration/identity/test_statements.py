"""How many statements each use case sends: a count that grows is a decision, not an accident."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from govid.bus import Database
from tests.integration.identity.conftest import Parts


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the first words of what is sent to the database, transactions' ends included."""
    sent: list[str] = []

    def execute(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        code = re.sub("^--.*$", "", statement, flags=re.MULTILINE)
        sent.append(" ".join(code.split()[:2]))

    engine = database.requests.sync_engine
    commit = event.listens_for(engine, "commit")
    commit(lambda _connection: sent.append("COMMIT"))
    event.listen(engine, "before_cursor_execute", execute)
    yield sent
    event.remove(engine, "before_cursor_execute", execute)


async def test_registration_sends_two_statements_in_one_transaction(identity: Parts) -> None:
    with statements(identity.database) as sent:
        await identity.register()
    assert sent == ["INSERT INTO", "WITH incoming", "COMMIT"]


async def test_signing_in_sends_three_statements_in_two_transactions(identity: Parts) -> None:
    await identity.register()
    with statements(identity.database) as sent:
        await identity.login()
    assert sent == [
        "SELECT identity.account.id,",
        "COMMIT",
        "SELECT identity.account.id,",
        "INSERT INTO",
        "COMMIT",
    ]


async def test_authentication_sends_nothing_through_a_transaction(identity: Parts) -> None:
    await identity.register()
    token = await identity.login()
    with statements(identity.database) as sent:
        await identity.authenticate(token)
    assert sent == []
