"""The description of the topics is served as it is committed."""

from pathlib import Path

from tests.http.client import Client

COMMITTED = (Path(__file__).parents[2] / "docs/asyncapi.json").read_bytes()


async def test_the_description_of_the_topics_is_served(visitor: Client) -> None:
    answer = await visitor.get("/asyncapi")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == COMMITTED
