"""No change of an account leaks personal data, and least of all tokens of links."""

import asyncio

import pytest

from govid.bus import Database
from govid.gateway.settings import Settings
from tests.http.client import Client
from tests.http.mailbox import Mailbox

OLD, NEW = "canary.old.zq91cw2@example.com", "canary.new.zq91cw2@example.com"
PASSWORDS = ("canary first zq91cw2", "canary second zq91cw2", "canary third zq91cw2")
PERSON = {
    "email": OLD,
    "password": PASSWORDS[0],
    "identifierType": "NIN",
    "identifierValue": "CN731731C",
}


async def _a_life_of_changes(client: Client, mailbox: Mailbox) -> tuple[list[str], list[str]]:
    """Change everything, well and badly; return all tokens and the bodies of all answers."""
    first, second, third = PASSWORDS
    assert (await client.register(PERSON)).status_code == 201
    token = await client.token(OLD, first)
    change = {"current_password": first, "password": second}
    answers = [
        await client.post("/api/auth/password", {**change, "current_password": "canary"}, token),
        await client.post("/api/auth/password", {**change, "password": "canary"}, token),
        await client.post("/api/auth/password", change, token),
        await client.post("/api/auth/reset", {"email": "canary.nobody.zq91cw2@example.com"}),
        await client.post("/api/auth/reset", {"email": OLD}),
    ]
    reset = await mailbox.token(OLD, "Set a new password")
    answers += [
        await client.get(f"/reset?token={reset}"),
        await client.post("/api/auth/reset/confirm", {"token": reset, "password": "canary"}),
        await client.post("/api/auth/reset/confirm", {"token": reset, "password": third}),
        await client.post("/api/auth/reset/confirm", {"token": reset, "password": third}),
    ]
    again = await client.token(OLD, third)
    answers.append(await client.post("/api/auth/email", {"email": NEW, "password": third}, again))
    link = await mailbox.token(NEW, "Confirm your new email address")
    answers += [
        await client.get(f"/account/confirm?token={link}"),
        await client.post("/api/auth/email/confirm", {"token": f"{link}x"}),
        await client.post("/api/auth/email/confirm", {"token": link}),
        await client.http.request(
            "DELETE",
            "/api/auth/account",
            json={"password": third},
            headers={"Authorization": f"Bearer {again}"},
        ),
    ]
    assert [answer.status_code for answer in answers] == [
        403, 422, 204, 202, 202, 404, 422, 204, 400, 202, 404, 400, 204, 204,
    ]  # fmt: skip
    return [token, reset, again, link], [answer.text for answer in answers]


async def test_canaries_of_a_changing_account_stay_inside(
    capfd: pytest.CaptureFixture[str], client: Client, database: Database, settings: Settings
) -> None:
    mailbox = Mailbox(settings)
    tokens, answers = await _a_life_of_changes(client, mailbox)
    await mailbox.mail(OLD, "Your email address was changed")
    await asyncio.sleep(0.2)  # the log writer's period, several times over
    metrics = (await client.get("/metrics")).text
    rows = await database.reads.fetch(
        "SELECT type, coalesce(key, '') || coalesce(record_key, '') || headers::text AS outside,"
        " payload::text AS payload FROM bus.event"
    )
    places = {
        "log": capfd.readouterr().err,
        "answers": "".join(answers),
        "metrics": metrics,
        "keys and headers": "".join(row["outside"] for row in rows),
        "events": "".join(
            row["payload"] for row in rows if row["type"] != "identity.verification.requested"
        ),
    }
    assert '"path":"/api/auth/reset/confirm"' in places["log"]
    assert [
        (place, canary)
        for place, text in places.items()
        for canary in (*tokens, "zq91cw2", "CN731731C", "canary")
        if canary in text
    ] == []
