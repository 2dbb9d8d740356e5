"""Sends e-mails by an SMTP server (message submission, RFC 6409)."""

import asyncio

import aiosmtplib

from govid.bus import Outage
from govid.identity.mail.port import EMAIL_DEPENDENCY, AddressRefused, EmailMessage, MessageBuilder
from govid.identity.settings import SmtpSettings

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
