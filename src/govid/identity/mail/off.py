"""The e-mail transport of a deployment without e-mail."""

from govid.bus import Outage
from govid.identity.mail.port import EMAIL_DEPENDENCY, EmailMessage


class DisabledTransport:
    """Sends nothing: e-mails stored earlier wait until a transport is configured again."""

    accepts_unicode = True

    async def send(self, message: EmailMessage) -> None:  # noqa: ARG002 - the protocol's signature
        """Raise `Outage`, so that the e-mail is retried later."""
        raise Outage(EMAIL_DEPENDENCY)
