"""Two requests at the same moment."""

import asyncio
from typing import Any

import pytest

from tests.http.client import Client


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"identifierValue": "AB123457D"}, "A user with this email already exists"),
        ({"email": "other@example.com"}, "A user with this NIN already exists"),
    ],
)
async def test_exactly_one_of_parallel_registrations_succeeds(
    client: Client, changes: dict[str, Any], detail: str
) -> None:
    answers = await asyncio.gather(
        *(client.register() for _ in range(4)), *(client.register(**changes) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 7
    details = {answer.json()["detail"] for answer in answers if answer.status_code == 400}
    assert detail in details
