"""Identity assurance that departments require, and the refusal of a blocked account."""

from typing import Literal

from govid.bus.shared.context import Principal
from govid.bus.shared.errors import ErrorKind, GovidError

IdentityAssurance = Literal["P1", "P2"]
"""Identity assurance: P1 by an identifier, P2 by name and date of birth as well."""


class AccountIsBlocked(GovidError):
    """Account is blocked."""

    code = "account-blocked"
    kind = ErrorKind.FORBIDDEN


def require_assurance(
    principal: Principal, least: IdentityAssurance, refusal: type[GovidError]
) -> None:
    """Require that *principal* has the identity assurance *least*.

    Raises:
        GovidError: the assurance is lower; *refusal*, the department's own error, is raised.
    """
    # The string order of P0, P1 and P2 is the order of the levels.
    if principal.assurance < least:
        raise refusal
