"""Mail that leaves by a server (SMTP submission, RFC 6409)."""

import aiosmtplib

from govid.bus import Outage
from govid.identity.mail.port import DEPENDENCY, AddressRefused, Mail, Writer
from govid.identity.settings import SmtpSettings

_FOR_GOOD = 500
"""From this code on a server's no is final (RFC 5321, 4.2.1)."""


class SmtpMailer:
    """Sends each mail over a connection of its own: there are few, and none waits for another."""

    def __init__(self, settings: SmtpSettings, writer: Writer) -> None:
        """Send by the server that *settings* name."""
        self._settings = settings
        self._writer = writer

    async def send(self, mail: Mail) -> None:
        """Hand *mail* to the server.

        What the server says is kept from the errors: it quotes the address (I9). A refused sign-in
        or a server without TLS is an outage like one that is away: the mail waits until somebody
        has put it right.
        """
        settings = self._settings
        try:
            await aiosmtplib.send(
                self._writer.write(mail),
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
