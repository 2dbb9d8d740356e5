"""Password reset by a link in an e-mail, and password change."""

import asyncio

import pytest

from govid.bus import Database
from govid.gateway.settings import Settings
from tests.http.client import NHS, NIN, PASSWORD, Client
from tests.http.mailbox import Mailbox

EMAIL = NIN["email"]
NEW = "tangled otter banister"
SUBJECT = "Set a new password"


@pytest.fixture
def mailbox(settings: Settings) -> Mailbox:
    return Mailbox(settings)


async def reset(client: Client, token: str, password: str = NEW) -> tuple[int, str]:
    body = {"token": token, "password": password}
    answer = await client.post("/api/auth/reset/confirm", body)
    return answer.status_code, answer.json()["type"] if answer.content else ""


async def login(client: Client, password: str) -> int:
    answer = await client.post("/api/auth/login", {"email": EMAIL, "password": password})
    return answer.status_code


async def settled(database: Database) -> None:
    """Wait until every letter has left or was taken back."""
    async with asyncio.timeout(10):
        while await database.reads.fetchval("SELECT count(*) FROM identity.letter"):
            await asyncio.sleep(0.02)


async def test_a_link_sets_a_new_password_and_ends_everything(
    client: Client, mailbox: Mailbox
) -> None:
    token = await client.citizen()
    assert (await client.post("/api/auth/reset", {"email": EMAIL})).status_code == 202
    link = await mailbox.token(EMAIL, SUBJECT)
    assert await reset(client, link) == (204, "")
    assert (await client.get("/api/auth/profile", token)).status_code == 401
    assert await login(client, PASSWORD) == 401
    assert await login(client, NEW) == 200
    assert "Your password was changed on" in await mailbox.mail(EMAIL, "Your password was changed")


async def test_a_link_opens_a_lock_that_others_brought_about(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    await client.register()
    assert [await login(client, "something else") for _ in range(6)] == [401] * 6
    assert await login(client, PASSWORD) == 401
    await client.post("/api/auth/reset", {"email": EMAIL})
    assert await reset(client, await mailbox.token(EMAIL, SUBJECT)) == (204, "")
    assert await login(client, NEW) == 200
    turns = await database.reads.fetch(
        "SELECT type, payload::jsonb ->> 'flow' AS flow, xmin FROM bus.event"
        " WHERE type LIKE 'identity.login.lock%' OR type = 'identity.credential.changed'"
        " ORDER BY pos"
    )
    assert [(row["type"], row["flow"]) for row in turns] == [
        ("identity.login.locked", "sign-in"),
        ("identity.login.lock_expired", "sign-in"),
        ("identity.credential.changed", None),
    ]
    assert turns[1]["xmin"] == turns[2]["xmin"] != turns[0]["xmin"]


async def test_a_spent_link_opens_nothing(client: Client, mailbox: Mailbox) -> None:
    await client.register()
    await client.post("/api/auth/reset", {"email": EMAIL})
    link = await mailbox.token(EMAIL, SUBJECT)
    assert await reset(client, link) == (204, "")
    assert [await login(client, "something else") for _ in range(6)] == [401] * 6
    assert await reset(client, link) == (400, "urn:govid:problem:link-spent")
    assert await login(client, NEW) == 401


async def test_a_link_works_once_also_for_many_at_once(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    await client.register()
    await client.post("/api/auth/reset", {"email": EMAIL})
    link = await mailbox.token(EMAIL, SUBJECT)
    answers = await asyncio.gather(*(reset(client, link, f"{NEW} {n}") for n in range(5)))
    assert sorted(answers) == [(204, ""), *[(400, "urn:govid:problem:link-spent")] * 4]
    assert await reset(client, link) == (400, "urn:govid:problem:link-spent")
    query = "SELECT count(*) FROM bus.event WHERE type = 'identity.credential.changed'"
    assert await database.reads.fetchval(query) == 1


async def test_a_refused_password_leaves_the_link_good(client: Client, mailbox: Mailbox) -> None:
    await client.register()
    await client.post("/api/auth/reset", {"email": EMAIL})
    link = await mailbox.token(EMAIL, SUBJECT)
    answer = await client.post("/api/auth/reset/confirm", {"token": link, "password": "short"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "loc": ["body", "password"],
            "msg": "has fewer than 8 characters",
            "type": "password_too_short",
        }
    ]
    assert await reset(client, link) == (204, "")


async def test_using_one_link_ends_the_others(client: Client, mailbox: Mailbox) -> None:
    await client.register()
    for _ in range(2):
        await client.post("/api/auth/reset", {"email": EMAIL})
    first, second = [await mailbox.token(EMAIL, SUBJECT, number) for number in (1, 2)]
    assert first != second
    assert await reset(client, first) == (204, "")
    assert await reset(client, second) == (400, "urn:govid:problem:link-spent")


async def test_a_link_dies_by_the_databases_clock(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    await client.register()
    await client.post("/api/auth/reset", {"email": EMAIL})
    link = await mailbox.token(EMAIL, SUBJECT)
    row = await database.reads.fetchrow("SELECT * FROM identity.link")
    assert (row["expires_at"] - row["issued_at"]).total_seconds() == 900
    await database.reads.execute(
        "UPDATE identity.link SET issued_at = issued_at - interval '901 s',"
        " expires_at = expires_at - interval '901 s'"
    )
    assert await reset(client, link) == (400, "urn:govid:problem:link-spent")


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\u00e9" * 43, "x" * 10_000])
async def test_what_is_no_token_is_a_spent_link(visitor: Client, token: str) -> None:
    assert await reset(visitor, token) == (400, "urn:govid:problem:link-spent")


async def test_r4_known_and_unknown_addresses_get_one_answer(client: Client) -> None:
    await client.register()
    known, unknown, malformed = [
        await client.post("/api/auth/reset", {"email": email})
        for email in (EMAIL, "nobody@example.com", "no address")
    ]
    varying = ("date", "x-correlation-id", "x-process-time-ms")
    assert known.status_code == unknown.status_code == malformed.status_code == 202
    assert known.content == unknown.content == malformed.content
    for answer in (known, unknown, malformed):
        for name in varying:
            answer.headers.pop(name)
    assert known.headers == unknown.headers == malformed.headers


async def test_r4_an_unknown_address_costs_the_same_rows_and_gets_no_mail(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    await client.register()
    await client.post("/api/auth/reset", {"email": "nobody@example.com"})
    await client.post("/api/auth/reset", {"email": EMAIL.upper()})
    await mailbox.mail(EMAIL, SUBJECT)
    await settled(database)
    assert len(list(mailbox.folder.glob("*.eml"))) == 1
    rows = await database.reads.fetch(
        "SELECT type, payload::text LIKE '%account_id\":null%' AS without_account FROM bus.event"
        " WHERE type LIKE 'identity.credential.%' OR type LIKE 'identity.letter.%' ORDER BY pos"
    )
    assert [(row["type"], row["without_account"]) for row in rows] == [
        ("identity.letter.written", False),
        ("identity.credential.reset_requested", True),
        ("identity.letter.written", False),
        ("identity.credential.reset_requested", False),
    ]


async def test_a_blocked_account_gets_no_link_and_an_older_one_is_dead(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    await client.register()
    await client.post("/api/auth/reset", {"email": EMAIL})
    link = await mailbox.token(EMAIL, SUBJECT)
    await settled(database)
    await database.reads.execute(
        "UPDATE identity.account SET status_before = status, status = 'blocked'"
    )
    answer = await client.post("/api/auth/reset", {"email": EMAIL})
    assert answer.status_code == 202
    await settled(database)
    assert len(mailbox.mails(EMAIL)) == 1
    assert await reset(client, link) == (400, "urn:govid:problem:link-spent")


async def test_enough_links_are_enough(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    await client.register()
    for _ in range(8):
        answer = await client.post("/api/auth/reset", {"email": EMAIL})
        assert answer.status_code == 202
    await settled(database)
    # The quota of one recipient (E10) ends before the count of the name and network (E5).
    assert len(mailbox.mails(EMAIL)) == 5
    assert await login(client, PASSWORD) == 200


async def test_the_token_is_stored_as_a_digest_and_is_in_no_event(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    await client.register()
    await client.post("/api/auth/reset", {"email": EMAIL})
    link = await mailbox.token(EMAIL, SUBJECT)
    await settled(database)
    stored = await database.reads.fetchval(
        "SELECT string_agg(l::text, '') || (SELECT string_agg(e::text, '') FROM bus.event e)"
        " FROM identity.link l"
    )
    assert link not in stored
    events = await database.reads.fetchval(
        "SELECT string_agg(payload::text || headers::text || coalesce(key, ''), '') FROM bus.event"
        " WHERE type LIKE 'identity.letter.%' OR type LIKE 'identity.credential.%'"
    )
    assert EMAIL not in events


@pytest.mark.parametrize("path", ["/reset", "/account/confirm", "/reset/confirm"])
async def test_the_query_of_a_link_goes_no_further_than_the_browser(
    client: Client, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    canary = "canary7f3a" * 4
    answer = await client.get(f"{path}?token={canary}")
    metrics = await client.get("/metrics")
    await asyncio.sleep(0.2)  # the log writer's period, several times over
    log = capfd.readouterr().err
    assert f'"path":"{path}"' in log
    assert canary not in log + metrics.text + answer.text + str(answer.headers)
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_a_password_is_changed_by_who_knows_it(
    client: Client, mailbox: Mailbox, database: Database
) -> None:
    token, other = await client.citizen(), await client.token()
    body = {"current_password": PASSWORD, "password": NEW}
    assert (await client.post("/api/auth/password", body, token)).status_code == 204
    for dead in (token, other):
        assert (await client.get("/api/auth/profile", dead)).status_code == 401
    assert await login(client, PASSWORD) == 401
    assert await login(client, NEW) == 200
    await mailbox.mail(EMAIL, "Your password was changed")
    query = "SELECT payload FROM bus.event WHERE type = 'identity.credential.changed'"
    assert '"how":"change"' in await database.reads.fetchval(query)


async def test_a_link_from_before_a_change_is_dead(client: Client, mailbox: Mailbox) -> None:
    token = await client.citizen()
    await client.post("/api/auth/reset", {"email": EMAIL})
    link = await mailbox.token(EMAIL, SUBJECT)
    body = {"current_password": PASSWORD, "password": NEW}
    assert (await client.post("/api/auth/password", body, token)).status_code == 204
    assert await reset(client, link) == (400, "urn:govid:problem:link-spent")


async def test_a_wrong_current_password_changes_nothing(client: Client) -> None:
    token = await client.citizen()
    body = {"current_password": "something else", "password": NEW}
    answer = await client.post("/api/auth/password", body, token)
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:govid:problem:password-not-confirmed"
    assert (await client.get("/api/auth/profile", token)).status_code == 200
    assert await login(client, PASSWORD) == 200


async def test_wrong_current_passwords_lock_this_way_and_no_other(client: Client) -> None:
    token = await client.citizen()
    wrong = {"current_password": "something else", "password": NEW}
    for _ in range(6):
        assert (await client.post("/api/auth/password", wrong, token)).status_code == 403
    right = {"current_password": PASSWORD, "password": NEW}
    assert (await client.post("/api/auth/password", right, token)).status_code == 403
    assert (await client.get("/api/auth/profile", token)).status_code == 200
    assert await login(client, PASSWORD) == 200


async def test_a_changed_password_does_not_touch_others(client: Client) -> None:
    token, other = await client.citizen(), await client.citizen(NHS)
    body = {"current_password": PASSWORD, "password": NEW}
    await client.post("/api/auth/password", body, token)
    assert (await client.get("/api/auth/profile", other)).status_code == 200
