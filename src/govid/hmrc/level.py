"""How well somebody has to be known to see tax records."""

from govid.bus import Principal
from govid.hmrc.errors import StepUpRequired
from govid.hmrc.settings import Level


def check_level(principal: Principal, least: Level) -> None:
    """Let pass who is known well enough. P0, P1 and P2 are in order as they are written.

    Raises:
        StepUpRequired: they are not.
    """
    if principal.assurance < least:
        raise StepUpRequired
