"""The mailbox page of a demonstration, which no other server has."""

from pathlib import Path
from uuid import UUID

import pytest

from govid.gateway.app import create_app
from govid.gateway.settings import Settings, load_from_environment
from tests.http.client import NIN, Client
from tests.http.mailbox import Mailbox

EMAIL = NIN["email"]
HOSTILE = """To: <script>alert(1)</script>@example.com\r
Subject: =?utf-8?q?=3Cimg_src=3Dx_onerror=3Dalert=281=29=3E?=\r
Content-Type: text/plain; charset=utf-8\r
\r
<b>https://example.com/"onmouseover="x</b> & javascript:alert(1) {body}\r
"""


@pytest.fixture
def mailbox(settings: Settings) -> Mailbox:
    return Mailbox(settings)


async def test_a_mail_is_listed_and_its_link_can_be_followed(
    client: Client, mailbox: Mailbox, settings: Settings
) -> None:
    assert "There is none yet." in (await client.get("/dev/inbox")).text
    await client.register()
    await client.post("/api/auth/reset", {"email": EMAIL})
    token = await mailbox.token(EMAIL, "Set a new password")
    listing = await client.get("/dev/inbox")
    (file,) = mailbox.folder.glob("*.eml")
    assert f'<a href="/dev/inbox/{file.stem}">Set a new password</a> to {EMAIL}' in listing.text
    assert token not in listing.text
    page = await client.get(f"/dev/inbox/{file.stem}")
    link = f"{settings.public_url}/reset?token={token}"
    assert f'<a href="{link}" rel="noreferrer">{link}</a>' in page.text


async def test_what_a_mail_says_is_text_and_nothing_is_loaded(
    client: Client, mailbox: Mailbox
) -> None:
    mailbox.folder.mkdir()
    letter_id = UUID(int=7)
    (mailbox.folder / f"{letter_id}.eml").write_text(HOSTILE, "utf-8")
    for answer in (await client.get("/dev/inbox"), await client.get(f"/dev/inbox/{letter_id}")):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none';")
        assert "<script" not in answer.text
        assert "<img" not in answer.text
        assert "<b>" not in answer.text
        assert "src=" not in answer.text.replace("src=x onerror=alert(1)", "")
    assert '<a href="https://example.com/" rel="noreferrer">' in answer.text
    assert "javascript:alert(1) {body}" in answer.text


@pytest.mark.parametrize("name", [str(UUID(int=9)), "..%2f..%2fdev.json", "x"])
async def test_what_is_no_mail_is_a_404(visitor: Client, name: str) -> None:
    answer = await visitor.get(f"/dev/inbox/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("demonstration", "mail"), [(True, "off"), (False, "folder"), (False, "off")]
)
def test_there_is_no_page_where_there_is_no_such_mail(
    tmp_path: Path, demonstration: bool, mail: str
) -> None:
    chosen = load_from_environment(
        {
            "GOVID_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
            "GOVID_DATA_DIR": tmp_path,
            "GOVID_MAIL": mail,
        },
        demonstration=demonstration,
        env_file=None,
    )
    assert not [path for path in create_app(chosen)._allow if path.startswith("/dev/inbox")]
