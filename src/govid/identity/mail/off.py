"""No mail at all."""

from govid.bus import Outage
from govid.identity.mail.port import DEPENDENCY, Mail


class OffMailer:
    """Sends nothing: what was written while there was mail waits until there is mail again."""

    takes_unicode = True

    async def send(self, mail: Mail) -> None:  # noqa: ARG002 - a mailer's face
        """Let it wait."""
        raise Outage(DEPENDENCY)
