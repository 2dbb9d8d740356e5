"""E-mails as they are written to a folder and sent to a server."""

import asyncio
import stat
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from uuid import UUID

import pytest

from govid.bus import Outage, SystemClock
from govid.identity.email.templates import render_email
from govid.identity.email.transports import (
    AddressRefused,
    DisabledTransport,
    EmailMessage,
    FolderTransport,
    MessageBuilder,
    SmtpTransport,
)
from govid.identity.repository.outgoing_email import EmailKind
from govid.identity.settings import SmtpSettings

WRITER = MessageBuilder("no-reply@govid.example", SystemClock())
LINK = "https://govid.example/reset?token=" + "A" * 43
MAIL = EmailMessage(
    id=UUID(int=7), to="ada@example.com", subject="Set a new password", text=f"{LINK}\n"
)


class MailServer:
    """A server that receives e-mail, with answers that a test controls."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.heard: list[str] = []
        self.data = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, "220 mail.test")
        while line := await reader.readline():
            verb = line.split()[0].decode().upper()
            self.heard.append(line.decode().strip())
            if verb == "DATA" and "DATA" not in self.answers:
                await self._say(writer, "354 go on")
                self.data = await reader.readuntil(b"\r\n.\r\n")
                await self._say(writer, "250 kept")
                continue
            answer = {"EHLO": "250 mail.test", "QUIT": "221 bye"} | self.answers
            await self._say(writer, answer.get(verb, "250 ok"))
            if verb == "QUIT":
                break
        writer.close()
        await writer.wait_closed()

    async def _say(self, writer: asyncio.StreamWriter, line: str) -> None:
        writer.write(f"{line}\r\n".encode())
        await writer.drain()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    """Return a server that listens."""
    mail_server = MailServer()
    listening = await asyncio.start_server(mail_server.serve, "127.0.0.1", 0)
    mail_server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield mail_server


def mailer(server: MailServer, **changes: object) -> SmtpTransport:
    settings = {"host": "127.0.0.1", "port": server.port, "tls": "none", **changes}
    return SmtpTransport(SmtpSettings(**settings), WRITER)  # type: ignore[arg-type]  # a test's own


def test_a_mail_has_one_name_however_often_it_is_sent() -> None:
    first, second = WRITER.build(MAIL), WRITER.build(MAIL)
    assert first["Message-ID"] == second["Message-ID"] == f"<{UUID(int=7)}@govid.example>"
    assert first["Auto-Submitted"] == "auto-generated"


def test_no_address_makes_a_header_of_its_own() -> None:
    with pytest.raises(ValueError, match="linefeed or carriage return"):
        WRITER.build(
            EmailMessage(id=UUID(int=1), to="a@example.com\r\nBcc: e@x", subject="", text="")
        )


async def test_a_folder_keeps_one_file_for_each_mail(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mail"
    sender = FolderTransport(folder, WRITER)
    await sender.send(MAIL)
    await sender.send(MAIL)
    (file,) = folder.iterdir()
    assert file.name == f"{UUID(int=7)}.eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found = message_from_bytes(file.read_bytes(), policy=default)
    assert (found["To"], found.get_content()) == ("ada@example.com", f"{LINK}\r\n")


async def test_a_folder_that_cannot_be_written_is_an_outage(tmp_path: Path) -> None:
    in_the_way = tmp_path / "mail"
    in_the_way.write_text("a file")
    with pytest.raises(Outage):
        await FolderTransport(in_the_way, WRITER).send(MAIL)


async def test_a_server_gets_the_mail(server: MailServer) -> None:
    await mailer(server).send(MAIL)
    assert server.heard[:4] == [
        "EHLO govid.example",
        "MAIL FROM:<no-reply@govid.example>",
        "RCPT TO:<ada@example.com>",
        "DATA",
    ]
    found = message_from_bytes(server.data, policy=default)
    assert LINK in found.get_content()


async def test_an_address_that_no_one_has_is_refused_permanently(server: MailServer) -> None:
    server.answers = {"RCPT": "550 no such user ada@example.com"}
    with pytest.raises(AddressRefused) as refusal:
        await mailer(server).send(MAIL)
    assert "ada" not in repr(refusal.value)
    assert refusal.value.__cause__ is None


async def test_an_address_that_the_server_cannot_write_is_refused_permanently(
    server: MailServer,
) -> None:
    with pytest.raises(AddressRefused):
        await mailer(server).send(
            EmailMessage(id=UUID(int=8), to="übung@example.com", subject="x", text="x")
        )


@pytest.mark.parametrize(
    "answers",
    [
        {"RCPT": "450 try later"},
        {"MAIL": "451 try later"},
        {"MAIL": "550 who are you"},
        {"DATA": "554 not today"},
        {"EHLO": "500 what", "HELO": "500 what"},
    ],
)
async def test_any_other_no_is_an_outage_that_does_not_quote(
    server: MailServer, answers: dict[str, str]
) -> None:
    server.answers = answers
    with pytest.raises(Outage) as outage:
        await mailer(server).send(MAIL)
    assert (outage.value.dependency, outage.value.__cause__) == ("mail", None)


async def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for(
    server: MailServer,
) -> None:
    with pytest.raises(Outage):
        await mailer(server, tls="starttls").send(MAIL)
    assert server.data == b""
    assert not [line for line in server.heard if line.startswith(("MAIL", "RCPT"))]


async def test_a_server_that_is_away_is_an_outage() -> None:
    settings = SmtpSettings(host="127.0.0.1", port=1, tls="none", timeout_seconds=1)
    with pytest.raises(Outage):
        await SmtpTransport(settings, WRITER).send(MAIL)


async def test_without_mail_an_email_waits() -> None:
    with pytest.raises(Outage) as outage:
        await DisabledTransport().send(MAIL)
    assert outage.value.dependency == "mail"


@pytest.mark.parametrize("kind", EmailKind)
def test_every_kind_of_email_says_something_and_all_of_it_in_plain_letters(
    kind: EmailKind,
) -> None:
    subject, text = render_email(
        kind, written_at=SystemClock().now(), link=LINK, minutes=15, hours=24, held_days=30
    )
    assert subject.isascii()
    assert text.isascii()
    assert "{" not in text
    assert max(len(line) for line in text.splitlines()) <= 80


OFFERS = [
    pytest.param("250-mail.test\r\n250 SMTPUTF8", True, id="offered"),
    pytest.param("250-mail.test\r\n250-SIZE 1000\r\n250 smtputf8", True, id="among others"),
    pytest.param("250-mail.test\r\n250 8BITMIME", False, id="not offered"),
    pytest.param("250 mail.test", False, id="nothing offered"),
    pytest.param("500 what", False, id="no ESMTP at all"),
]


@pytest.mark.parametrize(("answer", "takes_unicode"), OFFERS)
async def test_b10_what_the_server_offers_is_learned_at_the_start(
    server: MailServer, answer: str, takes_unicode: bool
) -> None:
    server.answers = {"EHLO": answer}
    sender = mailer(server)
    assert sender.accepts_unicode is False
    await sender.detect_features()
    assert sender.accepts_unicode is takes_unicode
    assert server.data == b""


@pytest.mark.parametrize(("answer", "takes_unicode"), OFFERS)
async def test_b10_what_the_server_offers_is_learned_again_at_each_delivery(
    server: MailServer, answer: str, takes_unicode: bool
) -> None:
    sender = mailer(server)
    server.answers = {"EHLO": "250-mail.test\r\n250 SMTPUTF8"}
    await sender.detect_features()
    server.answers = {"EHLO": answer}
    await sender.send(MAIL)
    assert sender.accepts_unicode is takes_unicode


def test_b10_a_folder_and_no_mail_take_every_address(tmp_path: Path) -> None:
    assert [
        FolderTransport(tmp_path, WRITER).accepts_unicode,
        DisabledTransport().accepts_unicode,
    ] == [True, True]
