"""C4: what the database cannot do now is a 503 that says when to come again."""

import asyncpg
import pytest

from tests.http.client import NHS, Client

REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'AB123456C' USING ERRCODE = '{}'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON identity.account
        FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("state", ["25006", "40001", "53100", "53400", "55P03", "57P03", "58030"])
async def test_c4_state_is_unavailable_with_retry_after(
    client: Client, database_url: str, state: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(REFUSE.format(state))
    await connection.close()
    answer = await client.register(NHS)
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "5")
    assert answer.json()["type"] == "urn:govid:problem:unavailable"
    assert "AB123456C" not in answer.text
