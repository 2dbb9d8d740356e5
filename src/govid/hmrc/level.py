"""Checks the identity assurance that tax records require."""

from govid.bus import Principal
from govid.hmrc.errors import StepUpRequired
from govid.hmrc.settings import IdentityAssurance


def require_assurance(principal: Principal, least: IdentityAssurance) -> None:
    """Check that *principal* has the identity assurance *least*. P0, P1 and P2 sort as text.

    Raises:
        StepUpRequired: the assurance is too low.
    """
    if principal.assurance < least:
        raise StepUpRequired
