"""Records of the log topics: requests and access decisions of the gateway.

Address and user agent are marked personal. Of the account only the id is in them.
"""

from datetime import datetime

from govid.bus.personal import Personal
from govid.bus.shared.contract import Event


class RequestReceived(Event, frozen=True, kw_only=True):
    """A request was received."""

    timestamp: datetime
    level: str = "INFO"
    service: str = "gateway"
    message: str = "request received"
    method: str
    path: str
    client_ip: Personal[str | None]
    user_agent: Personal[str | None]
    request_id: str
    correlation_id: str


class RequestFinished(RequestReceived, frozen=True, kw_only=True):
    """A request was answered. `duration_ms` is in milliseconds."""

    message: str = "request finished"
    status_code: int
    duration_ms: float
    user_id: str | None


class AccessDecided(Event, frozen=True, kw_only=True):
    """Access was granted or refused. `error` is the permanent code of the refusal."""

    timestamp: datetime
    service: str = "gateway"
    resource: str
    granted: bool
    error: str | None = None
    user_id: str | None = None
    correlation_id: str
