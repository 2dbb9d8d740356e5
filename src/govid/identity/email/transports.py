"""E-mail transports: the message, the protocol of a transport; SMTP, folder and disabled."""

import asyncio
import os
from email.message import EmailMessage as MimeMessage
from email.policy import SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from typing import ClassVar, Protocol
from uuid import UUID

import aiosmtplib

from govid.bus import Clock, Outage
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.settings import SmtpSettings

EMAIL_DEPENDENCY = "mail"
"""The name of the e-mail transport in outages, logs and metrics."""


class EmailMessage(RedactedStruct, frozen=True, kw_only=True):
    """An e-mail to one recipient. It may hold a one-time token, which is a secret."""

    id: UUID
    to: str
    subject: str
    text: str

    repr_members: ClassVar[tuple[str, ...]] = ("id",)


class AddressRefused(Exception):
    """The server rejects the address permanently, so that a retry would not help."""


class EmailTransport(Protocol):
    """Sends e-mails."""

    @property
    def accepts_unicode(self) -> bool:
        """Whether an address may hold non-ASCII characters (RFC 6531)."""

    async def send(self, message: EmailMessage) -> None:
        """Hand *message* over for delivery.

        Raises:
            Outage: the transport is unavailable at the moment.
            AddressRefused: the address is rejected permanently.
        """


class MessageBuilder:
    """Builds the RFC 5322 form of e-mails."""

    def __init__(self, sender: str, clock: Clock) -> None:
        """Use *sender*, an address, as the author."""
        self.domain = sender.rpartition("@")[2]
        self._sender = sender
        self._clock = clock

    def build(self, message: EmailMessage) -> MimeMessage:
        """Return the MIME message of *message*.

        A repeated send has the same `Message-ID`, so that a mail client may drop the duplicate. The
        token in each copy is valid for its own lifetime.
        """
        built = MimeMessage(policy=SMTPUTF8)
        built["From"] = self._sender
        built["To"] = message.to
        built["Subject"] = message.subject
        built["Date"] = format_datetime(self._clock.now())
        built["Message-ID"] = f"<{message.id}@{self.domain}>"
        # Prevents automatic replies and receipts (RFC 3834).
        built["Auto-Submitted"] = "auto-generated"
        built.set_content(message.text)
        return built


DETECT_RETRY_SECONDS = 60.0
"""The interval between attempts to detect the features of a server that does not answer."""
_PERMANENT_CODE = 500
"""The lowest reply code of a permanent rejection (RFC 5321, 4.2.1)."""


class SmtpTransport:
    """Sends each e-mail over its own connection: e-mails are few and must not wait."""

    def __init__(self, settings: SmtpSettings, builder: MessageBuilder) -> None:
        """Use the server in *settings*."""
        self._settings = settings
        self._builder = builder
        self._accepts_unicode = False

    @property
    def accepts_unicode(self) -> bool:
        """Whether the server offered SMTPUTF8 on the last connection; False before the first."""
        return self._accepts_unicode

    async def detect_features(self) -> None:
        """Detect the features of the server, now and every minute until it answers."""
        while True:
            try:
                async with self._client() as client:
                    await self._detect(client)
            except (aiosmtplib.SMTPException, OSError):
                await asyncio.sleep(DETECT_RETRY_SECONDS)
            else:
                return

    async def send(self, message: EmailMessage) -> None:
        """Send *message* by the server.

        Errors do not hold the reply of the server, because it quotes the address (I9). A rejected
        login or a server without TLS is an outage like an unreachable server: the e-mail is retried
        until the operator has corrected the cause.
        """
        try:
            async with self._client() as client:
                await self._detect(client)
                await client.send_message(self._builder.build(message))
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(refusal.code >= _PERMANENT_CODE for refusal in error.recipients):
                raise AddressRefused from None
            raise Outage(EMAIL_DEPENDENCY) from None
        except aiosmtplib.SMTPNotSupported:
            if not message.to.isascii():
                # The server does not support the non-ASCII characters of the address.
                raise AddressRefused from None
            raise Outage(EMAIL_DEPENDENCY) from None
        except (aiosmtplib.SMTPException, OSError):
            raise Outage(EMAIL_DEPENDENCY) from None

    def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            timeout=settings.timeout_seconds,
            # Otherwise the library looks the host name up, which blocks the event loop.
            local_hostname=self._builder.domain,
        )

    async def _detect(self, client: aiosmtplib.SMTP) -> None:
        if client.is_ehlo_or_helo_needed:
            try:
                await client.ehlo()
            except aiosmtplib.SMTPHeloError:
                # A server without ESMTP (RFC 1869); e-mail can still be sent.
                self._accepts_unicode = False
                return
        self._accepts_unicode = client.supports_extension("smtputf8")


class FolderTransport:
    """Writes each e-mail to its own file, `<id>.eml`; a repeated send replaces the file."""

    accepts_unicode = True

    def __init__(self, folder: Path, builder: MessageBuilder) -> None:
        """Use *folder*, which is created with the first e-mail."""
        self._folder = folder
        self._builder = builder

    async def send(self, message: EmailMessage) -> None:
        """Write the file, readable by its owner only.

        A full disk or a folder that cannot be written is an outage: the e-mail is retried.
        """
        content = bytes(self._builder.build(message))
        try:
            await asyncio.to_thread(self._write_file, f"{message.id}.eml", content)
        except OSError:
            raise Outage(EMAIL_DEPENDENCY) from None

    def _write_file(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f"{name}.part"
        # Written under another name and renamed, so that a reader never sees half an e-mail.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        draft.replace(self._folder / name)


class DisabledTransport:
    """Sends nothing: e-mails stored earlier wait until a transport is configured again."""

    accepts_unicode = True

    async def send(self, message: EmailMessage) -> None:  # noqa: ARG002 - the protocol's signature
        """Raise `Outage`, so that the e-mail is retried later."""
        raise Outage(EMAIL_DEPENDENCY)
