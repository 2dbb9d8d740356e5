"""Tax records with consent, over HTTP: the page of `govid dev`, the refusals, and leaks."""

import asyncio
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import schemathesis

from govid.bus import Database
from tests.http import leak_canaries
from tests.http.client import NIN, Client

IDA = "945350439195"
CONSENT = "/api/hmrc/consent"
YEAR = "/api/hmrc/tax-records/2024-25"
LAST = "/api/auth/password-policy"
"""Asked for at the end of a test that reads the log."""


async def decided(url: str, decision: str = "grant") -> httpx.Response:
    """Decide on the page at *url*, as Ida, in a browser that is signed in nowhere."""
    page = urlsplit(url)
    form = {**dict(parse_qsl(page.query)), "user": IDA, "decision": decision}
    async with httpx.AsyncClient() as browser:
        assert (await browser.get(url)).status_code == 200
        return await browser.post(f"{page.scheme}://{page.netloc}{page.path}", data=form)


async def consent(client: Client, token: str) -> dict[str, str]:
    """Consent, and return what the browser brought back."""
    begun = await client.post(CONSENT, None, token)
    assert begun.status_code == 201
    url = urlsplit(begun.json()["authorisationUrl"])
    # The server of a test listens at another port than its settings say.
    here = str(client.http.base_url.copy_with(path=url.path, query=url.query.encode()))
    shown = (await decided(here)).text
    brought = {name: reported(shown, name) for name in ("code", "state")}
    answer = await client.http.put(
        CONSENT,
        json={**brought, "utr": leak_canaries.UTR},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (answer.status_code, answer.json()["status"]) == (200, "granted")
    return brought


def reported(page: str, name: str) -> str:
    return unescape(page.partition(f"{name}: <b>")[2].partition("</b>")[0])


async def verified(client: Client) -> str:
    token = await client.citizen()
    await client.until_status(token, "verified")
    return token


async def test_a_citizen_consents_and_sees_what_hmrc_has(client: Client) -> None:
    token = await verified(client)
    await consent(client, token)
    answer = await client.get(YEAR, token)
    assert answer.status_code == 200
    assert '"payFromEmployment":22520.65' in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        (YEAR, "/api/hmrc/tax-records/{key}"),
        ("/api/hmrc/tax-records/2023-24", "/api/hmrc/tax-records/{key}"),
        ("/api/hmrc/tax-account?since=2024-04-06", "/api/hmrc/tax-account"),
        (CONSENT, CONSENT),
    ],
)
async def test_what_is_answered_is_what_the_document_says(
    client: Client, path: str, operation: str
) -> None:
    token = await verified(client)
    await consent(client, token)
    document = schemathesis.openapi.from_dict((await client.get("/openapi.json")).json())
    answer = await client.get(path, token)
    assert answer.status_code == 200
    document[operation]["GET"].validate_response(answer)


async def test_a_refusal_says_that_consent_is_needed(client: Client) -> None:
    answer = await client.get(YEAR, await verified(client))
    assert answer.status_code == 403
    assert answer.json() == {
        "type": "urn:govid:problem:tax-consent-needed",
        "title": "Forbidden",
        "status": 403,
        "detail": "HMRC only shows your tax records with your consent. Please give it first",
        "instance": YEAR,
    }


async def test_no_data_is_a_problem_of_its_own(client: Client) -> None:
    token = await verified(client)
    await consent(client, token)
    answer = await client.get("/api/hmrc/tax-records/2019-20", token)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:govid:problem:no-tax-data")


@pytest.mark.parametrize("path", [CONSENT, YEAR, "/api/hmrc/tax-account?since=2024-04-06"])
async def test_no_one_is_served_without_a_token(visitor: Client, path: str) -> None:
    assert (await visitor.get(path)).status_code == 401


async def test_who_does_not_consent_brings_back_no_code(client: Client) -> None:
    begun = await client.post(CONSENT, None, await verified(client))
    url = urlsplit(begun.json()["authorisationUrl"])
    here = str(client.http.base_url.copy_with(path=url.path, query=url.query.encode()))
    shown = (await decided(here, "deny")).text
    assert (reported(shown, "error"), "<p>code:" in shown) == ("access_denied", False)


async def test_a_closed_account_leaves_no_consent_behind(
    client: Client, database: Database
) -> None:
    token = await verified(client)
    await consent(client, token)
    closed = await client.http.request(
        "DELETE",
        "/api/auth/account",
        json={"password": NIN["password"]},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert closed.status_code == 204
    async with asyncio.timeout(10):
        while await database.reads.fetchval("SELECT count(*) FROM hmrc.consent"):
            await asyncio.sleep(0.02)


async def test_i9_what_opens_and_names_stays_inside(
    client: Client, server: str, database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    token = await verified(client)
    brought = await consent(client, token)
    assert (await client.get(YEAR, token)).status_code == 200
    assert (await client.get("/api/hmrc/tax-account?since=2024-04-06", token)).status_code == 200
    await client.http.put(CONSENT, json=brought, headers={"Authorization": f"Bearer {token}"})
    await client.get(LAST, token)
    log = ""
    async with asyncio.timeout(10):
        while f'"method":"GET","path":"{LAST}"' not in log:
            await asyncio.sleep(0.05)
            log += capfd.readouterr().err
    places = await leak_canaries.collect_visible_text(database, server, log)
    places["tables"] = await leak_canaries.tables(database, "hmrc")
    words = (leak_canaries.UTR, *brought.values(), "22520", "Acme Ltd", "123/AB456")
    assert leak_canaries.find_leaks(places, words) == []
