"""Mail that leaves by a server (SMTP submission, RFC 6409)."""

import asyncio

import aiosmtplib

from govid.bus import Outage
from govid.identity.mail.port import DEPENDENCY, AddressRefused, Mail, Writer
from govid.identity.settings import SmtpSettings

LEARN_SECONDS = 60.0
"""How long a server that does not answer is left alone before it is asked again."""
_FOR_GOOD = 500
"""From this code on a server's no is final (RFC 5321, 4.2.1)."""


class SmtpMailer:
    """Sends each mail over a connection of its own: there are few, and none waits for another."""

    def __init__(self, settings: SmtpSettings, writer: Writer) -> None:
        """Send by the server that *settings* name."""
        self._settings = settings
        self._writer = writer
        self._takes_unicode = False

    @property
    def takes_unicode(self) -> bool:
        """Whether the server offered SMTPUTF8 when it was last spoken to; no before that."""
        return self._takes_unicode

    async def learn(self) -> None:
        """Ask the server what it offers, now and every minute until it answers."""
        while True:
            try:
                async with self._client() as client:
                    await self._note_offers(client)
            except (aiosmtplib.SMTPException, OSError):
                await asyncio.sleep(LEARN_SECONDS)
            else:
                return

    async def send(self, mail: Mail) -> None:
        """Hand *mail* to the server.

        What the server says is kept from the errors: it quotes the address (I9). A refused sign-in
        or a server without TLS is an outage like one that is away: the mail waits until somebody
        has put it right.
        """
        try:
            async with self._client() as client:
                await self._note_offers(client)
                await client.send_message(self._writer.write(mail))
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(refusal.code >= _FOR_GOOD for refusal in error.recipients):
                raise AddressRefused from None
            raise Outage(DEPENDENCY) from None
        except aiosmtplib.SMTPNotSupported:
            if not mail.to.isascii():
                # The address has letters that this server cannot write.
                raise AddressRefused from None
            raise Outage(DEPENDENCY) from None
        except (aiosmtplib.SMTPException, OSError):
            raise Outage(DEPENDENCY) from None

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
            # Else the library asks the name service for it, and everybody waits meanwhile.
            local_hostname=self._writer.domain,
        )

    async def _note_offers(self, client: aiosmtplib.SMTP) -> None:
        if client.is_ehlo_or_helo_needed:
            try:
                await client.ehlo()
            except aiosmtplib.SMTPHeloError:
                # A server of before 1995, to which mail is still sent.
                self._takes_unicode = False
                return
        self._takes_unicode = client.supports_extension("smtputf8")
