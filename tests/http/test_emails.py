"""Confirming and changing an address: the new one counts once it is confirmed."""

import asyncio
from collections.abc import Awaitable, Callable
from unittest.mock import ANY

import pytest

from govid.bus import Database
from govid.gateway.settings import Settings
from tests.http.client import NHS, NIN, PASSWORD, Client
from tests.http.mailbox import Mailbox

OLD, NEW = NIN["email"], "test.new@example.com"
CONFIRM, CHANGE = "Confirm your email address", "Confirm your new email address"
Spending = Callable[[Client, str], Awaitable[None]]
SPENT = (400, "urn:govid:problem:link-spent")


@pytest.fixture
def mailbox(settings: Settings) -> Mailbox:
    return Mailbox(settings)


async def confirm(client: Client, token: str) -> tuple[int, str]:
    answer = await client.post("/api/auth/email/confirm", {"token": token})
    return answer.status_code, answer.json()["type"] if answer.content else ""


async def change(client: Client, token: str, email: str = NEW, password: str = PASSWORD) -> int:
    body = {"email": email, "password": password}
    return (await client.post("/api/auth/email", body, token)).status_code


async def profile_email(client: Client, token: str) -> str:
    return str((await client.get("/api/auth/profile", token)).json()["email"])


async def confirmed(database: Database) -> bool:
    query = "SELECT email_confirmed_at IS NOT NULL FROM identity.account"
    return bool(await database.reads.fetchval(query))


async def settled(database: Database) -> None:
    async with asyncio.timeout(10):
        while await database.reads.fetchval("SELECT count(*) FROM identity.letter"):
            await asyncio.sleep(0.02)


async def waiting(database: Database) -> list[str]:
    rows = await database.reads.fetch("SELECT kind FROM identity.letter ORDER BY id")
    return [row["kind"] for row in rows]


async def audited(database: Database) -> list[str]:
    rows = await database.reads.fetch(
        "SELECT type FROM bus.event WHERE type LIKE 'identity.email.%' ORDER BY pos"
    )
    return [row["type"] for row in rows]


async def test_an_address_is_confirmed_by_the_link_in_the_mail_once(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    token = await client.citizen()
    answer = await client.http.post(
        "/api/auth/email/confirmation", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 202
    link = await mailbox.token(OLD, CONFIRM)
    assert not await confirmed(database)
    assert await confirm(client, link) == (204, "")
    assert await confirmed(database)
    assert await confirm(client, link) == SPENT
    assert await audited(database) == ["identity.email.confirmed"]


async def test_a_newer_link_replaces_an_older_one(client: Client, mailbox: Mailbox) -> None:
    headers = {"Authorization": f"Bearer {await client.citizen()}"}
    for number in (1, 2):
        await client.http.post("/api/auth/email/confirmation", headers=headers)
        await mailbox.token(OLD, CONFIRM, number)
    links = [await mailbox.token(OLD, CONFIRM, number) for number in (1, 2)]
    assert [await confirm(client, link) for link in links] == [SPENT, (204, "")]


async def test_enough_links_are_enough_for_a_day(client: Client) -> None:
    headers = {"Authorization": f"Bearer {await client.citizen()}"}
    statuses = [
        (await client.http.post("/api/auth/email/confirmation", headers=headers)).status_code
        for _ in range(11)
    ]
    assert statuses == [202] * 10 + [429]


async def test_a_new_address_counts_once_it_is_confirmed(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    token = await client.citizen()
    assert await change(client, token) == 202
    link = await mailbox.token(NEW, CHANGE)
    assert "a request to use another address" in await mailbox.mail(
        OLD, "Someone asked to change your email address"
    )
    assert await profile_email(client, token) == OLD
    assert await confirm(client, link) == (204, "")
    assert await profile_email(client, token) == NEW
    assert await confirmed(database)
    assert "not used any more" in await mailbox.mail(OLD, "Your email address was changed")
    assert await client.token(NEW)
    assert await audited(database) == [
        "identity.email.change_requested",
        "identity.email.changed",
    ]


async def test_a_link_to_the_old_address_dies_with_it(client: Client, mailbox: Mailbox) -> None:
    token = await client.citizen()
    await client.post("/api/auth/reset", {"email": OLD})
    reset = await mailbox.token(OLD, "Set a new password")
    await change(client, token)
    assert await confirm(client, await mailbox.token(NEW, CHANGE)) == (204, "")
    body = {"token": reset, "password": "tangled otter banister"}
    assert (await client.post("/api/auth/reset/confirm", body)).status_code == 400


async def test_r12_a_link_to_another_address_dies_with_the_password(
    client: Client, mailbox: Mailbox
) -> None:
    token = await client.citizen()
    assert await change(client, token) == 202
    link = await mailbox.token(NEW, CHANGE)
    body = {"current_password": PASSWORD, "password": "tangled otter banister"}
    assert (await client.post("/api/auth/password", body, token)).status_code == 204
    assert await confirm(client, link) == SPENT


async def test_r12_an_email_that_waits_is_taken_back_by_another_password(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    token = await client.citizen()
    mailbox.folder.write_text("no folder, so no mail can leave")
    assert await change(client, token) == 202
    body = {"current_password": PASSWORD, "password": "tangled otter banister"}
    assert (await client.post("/api/auth/password", body, token)).status_code == 204
    assert await waiting(database) == ["email_change_requested", "password_changed"]


async def test_r12_an_email_that_waits_is_taken_back_by_a_reset(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    token = await client.citizen()
    await client.post("/api/auth/reset", {"email": OLD})
    reset = await mailbox.token(OLD, "Set a new password")
    await settled(database)
    mailbox.folder.rename(mailbox.folder.with_suffix(".before"))
    mailbox.folder.write_text("no folder, so no mail can leave")
    assert await change(client, token) == 202
    body = {"token": reset, "password": "tangled otter banister"}
    assert (await client.post("/api/auth/reset/confirm", body)).status_code == 204
    assert await waiting(database) == ["email_change_requested", "password_changed"]


async def test_r4_whether_an_address_is_taken_is_not_reported(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    await client.register(NHS)
    token = await client.citizen()
    answers = [
        await client.post("/api/auth/email", {"email": email, "password": PASSWORD}, token)
        for email in (NHS["email"], NEW)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    await settled(database)
    assert [mail["Subject"] for mail in mailbox.mails(NEW)] == [CHANGE]
    assert mailbox.mails(NHS["email"]) == []


@pytest.mark.parametrize("address", [NEW, NHS["email"], NHS["email"].upper()])
async def test_e9_an_export_shows_the_request_for_another_address_and_not_its_outcome(
    client: Client, database: Database, address: str
) -> None:
    await client.register(NHS)
    token = await client.citizen()
    assert await change(client, token, address) == 202
    await settled(database)
    held = (await client.get("/api/auth/export", token)).json()
    assert held["letters"] == []
    assert [(one["purpose"], one["address"].casefold()) for one in held["links"]] == [
        ("email", address.casefold())
    ]
    assert held["links"][0]["used_at"] is None


async def test_e9_a_link_that_was_sent_to_no_address_is_in_no_mail(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    await client.register(NHS)
    token = await client.citizen()
    await change(client, token, NHS["email"])
    await settled(database)
    assert mailbox.mails(NHS["email"]) == []


async def resets(client: Client, address: str) -> None:
    """Ask for reset links in the name of *address*, as a stranger without an account."""
    for _ in range(6):
        assert (await client.post("/api/auth/reset", {"email": address})).status_code == 202


async def changes(client: Client, address: str) -> None:
    """Ask for *address* from a stranger's own account."""
    stranger = {"email": "stranger@example.com", "identifierValue": "CN731731C"}
    token = await client.citizen(**stranger)
    assert [await change(client, token, address) for _ in range(6)] == [202] * 6


async def resets_and_changes(client: Client, address: str) -> None:
    await resets(client, address)
    await changes(client, address)


async def nothing(client: Client, address: str) -> None:
    """Spend nothing: the case that the others are compared with."""


@pytest.mark.parametrize("spend", [nothing, resets, changes, resets_and_changes])
async def test_e10_what_strangers_ask_for_silences_no_email_to_an_owner(
    client: Client, mailbox: Mailbox, database: Database, spend: Spending
) -> None:
    token = await client.citizen()
    await spend(client, OLD)
    await settled(database)
    before = len(mailbox.mails(OLD))
    bearer = {"Authorization": f"Bearer {token}"}
    asked = await client.http.post("/api/auth/email/confirmation", headers=bearer)
    assert asked.status_code == 202
    await settled(database)
    assert await change(client, token, "thief@example.net") == 202
    body = {"current_password": PASSWORD, "password": "tangled otter banister"}
    assert (await client.post("/api/auth/password", body, token)).status_code == 204
    token = await client.token(OLD, "tangled otter banister")
    closing = {"password": "tangled otter banister"}
    bearer = {"Authorization": f"Bearer {token}"}
    closed = await client.http.request("DELETE", "/api/auth/account", json=closing, headers=bearer)
    assert closed.status_code == 204
    await settled(database)
    assert sorted(mail["Subject"] for mail in mailbox.mails(OLD)[before:]) == [
        "Confirm your email address",
        "Someone asked to change your email address",
        "Your account was closed",
        "Your password was changed",
    ]


@pytest.mark.parametrize("spend", [resets, changes, resets_and_changes])
async def test_e10_an_address_is_changed_under_its_owners_eyes_whatever_strangers_ask(
    client: Client, mailbox: Mailbox, database: Database, spend: Spending
) -> None:
    token = await client.citizen()
    await spend(client, OLD)
    assert await change(client, token) == 202
    assert await confirm(client, await mailbox.token(NEW, CHANGE)) == (204, "")
    assert "not used any more" in await mailbox.mail(OLD, "Your email address was changed")


@pytest.mark.parametrize("address", [NEW, NHS["email"], NHS["email"].upper()])
@pytest.mark.parametrize("spend", [nothing, resets, changes])
async def test_e9_no_export_tells_whether_an_address_has_had_its_emails(
    client: Client, database: Database, spend: Spending, address: str
) -> None:
    await client.register(NHS)
    token = await client.citizen()
    await spend(client, address)
    assert await change(client, token, address) == 202
    await settled(database)
    held = (await client.get("/api/auth/export", token)).json()
    assert held["letters"] == []
    shown = [{**link, "address": link["address"].casefold()} for link in held["links"]]
    assert shown == [
        {
            "purpose": "email",
            "address": address.casefold(),
            "issued_at": ANY,
            "used_at": None,
        }
    ]


@pytest.mark.parametrize("address", [NEW, NHS["email"], NHS["email"].upper()])
async def test_e9_no_export_tells_whether_an_email_has_somewhere_to_go(
    client: Client, mailbox: Mailbox, database: Database, address: str
) -> None:
    await client.register(NHS)
    token = await client.citizen()
    mailbox.folder.write_text("no folder, so no mail can leave")
    assert await change(client, token, address) == 202
    async with asyncio.timeout(10):
        while not await database.reads.fetchval("SELECT count(*) FROM identity.link"):
            await asyncio.sleep(0.02)
    held = (await client.get("/api/auth/export", token)).json()
    assert [letter["kind"] for letter in held["letters"]] == ["email_change_requested"]
    assert [set(link) for link in held["links"]] == [{"purpose", "address", "issued_at", "used_at"}]


@pytest.mark.parametrize("address", [NHS["email"], NHS["email"].upper(), "nobody@example.com"])
async def test_e9_a_reset_is_counted_for_the_address_that_was_typed(
    client: Client, database: Database, address: str
) -> None:
    await client.register(NHS)
    await resets(client, address)
    counted = await database.reads.fetch(
        "SELECT kind, spent FROM identity.quota WHERE kind LIKE '%reset' ORDER BY kind"
    )
    assert [tuple(row) for row in counted] == [("emails_reset", 6), ("first_reset", 6)]
    written = await database.reads.fetch(
        "SELECT payload::jsonb ->> 'is_held_back' AS is_held_back FROM bus.event"
        " WHERE type = 'identity.letter.written' ORDER BY pos"
    )
    assert [row["is_held_back"] for row in written] == ["false"] * 5 + ["true"]


async def test_e10_a_link_stays_good_if_its_successor_is_never_mailed(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    token = await client.citizen()
    assert [await change(client, token) for _ in range(5)] == [202] * 5
    await settled(database)
    assert await change(client, token) == 202
    await settled(database)
    links = [await mailbox.token(NEW, CHANGE, number) for number in range(1, 6)]
    assert len(mailbox.mails(NEW)) == 5
    assert sorted([await confirm(client, link) for link in links]) == [(204, ""), *[SPENT] * 4]


async def test_an_address_that_was_taken_meanwhile_is_refused_to_who_holds_it(
    client: Client, mailbox: Mailbox
) -> None:
    token = await client.citizen()
    await change(client, token)
    link = await mailbox.token(NEW, CHANGE)
    assert (await client.register(NHS, email=NEW.upper())).status_code == 201
    assert await confirm(client, link) == (400, "urn:govid:problem:email-taken")
    assert await profile_email(client, token) == OLD


async def test_without_the_password_no_address_is_changed(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    token = await client.citizen()
    assert await change(client, token, password="something else") == 403
    await settled(database)
    assert list(mailbox.folder.glob("*.eml")) == []


async def test_what_is_no_address_is_named_and_not_repeated(client: Client) -> None:
    token = await client.citizen()
    body = {"email": "canary", "password": PASSWORD}
    answer = await client.post("/api/auth/email", body, token)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"loc": ["body", "email"], "msg": "is not an e-mail address", "type": "email_format"}
    ]
    assert "canary" not in answer.text


@pytest.mark.parametrize("overrides", [{"GOVID_MAIL": "off"}], ids=["off"])
async def test_without_mail_what_needs_it_is_refused_and_the_rest_works(
    client: Client, database: Database
) -> None:
    token = await client.citizen()
    answer = await client.post("/api/auth/reset", {"email": OLD})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:govid:problem:mail-off")
    assert await change(client, token) == 503
    body = {"current_password": PASSWORD, "password": "tangled otter banister"}
    assert (await client.post("/api/auth/password", body, token)).status_code == 204
    assert await database.reads.fetchval("SELECT count(*) FROM identity.letter") == 0
