"""The e-mail transport of a deployment without e-mail."""

from govid.bus import Outage
from govid.identity.mail.port import DEPENDENCY, Mail


class OffMailer:
    """Sends nothing: e-mails stored earlier wait until a transport is configured again."""

    takes_unicode = True

    async def send(self, message: Mail) -> None:  # noqa: ARG002 - the protocol's signature
        """Raise `Outage`, so that the e-mail is retried later."""
        raise Outage(DEPENDENCY)
