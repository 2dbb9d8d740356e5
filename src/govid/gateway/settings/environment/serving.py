"""Environment variables of the process: addresses, allowed clients, limits and logs."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.lists import HostList, NetworkList, TextList
from govid.gateway.settings.environment.naming import setting_field


class ServerVariables(BaseModel):
    """Variables of the process and of its request edge."""

    host: str = setting_field("127.0.0.1", "GOVID_HOST", doc="Address to listen on")
    port: int = setting_field(8000, "GOVID_PORT", doc="Port to listen on", ge=0, le=65535)
    data_dir: Path = setting_field(
        Path(".govid"), "GOVID_DATA_DIR", doc="Folder for the state of `govid dev`"
    )
    public_url: str | None = setting_field(
        None,
        "GOVID_PUBLIC_URL",
        doc="URL under which clients reach govid; also the issuer of its tokens",
    )
    allowed_hosts: HostList = setting_field(
        (),
        "GOVID_ALLOWED_HOSTS",
        doc="Allowed host names (Host header): JSON list or commas",
    )
    trusted_proxies: NetworkList = setting_field(
        (),
        "GOVID_TRUSTED_PROXIES",
        doc="Networks (CIDR) of proxies whose X-Forwarded-For is trusted: JSON list or commas",
    )
    management_port: int | None = setting_field(
        None,
        "GOVID_MANAGEMENT_PORT",
        doc="Separate port on which `govid serve` answers /metrics",
        ge=1,
        le=65535,
    )
    management_host: str = setting_field(
        "127.0.0.1", "GOVID_MANAGEMENT_HOST", doc="Address of the management port"
    )
    metrics_token: SecretStr | None = setting_field(
        None,
        "GOVID_METRICS_TOKEN",
        doc="Bearer token for /metrics on GOVID_PORT, if there is no management port",
    )
    max_connections: int = setting_field(
        1000,
        "GOVID_MAX_CONNECTIONS",
        doc="Connections per process; at most the limit of open files less 100",
        ge=1,
    )
    max_connections_per_network: int = setting_field(
        200,
        "GOVID_MAX_CONNECTIONS_PER_NETWORK",
        doc="Connections per IPv4 address or IPv6 /64; trusted proxies are exempt",
        ge=1,
    )
    cors_origins: TextList = setting_field(
        (),
        "GOVID_CORS_ORIGINS",
        "BACKEND_CORS_ORIGINS",
        doc="Origins of browsers that may call: JSON list, commas, or * (never with credentials)",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = setting_field(
        "INFO", "GOVID_LOG_LEVEL", doc="Lowest level that is logged"
    )
    log_format: Literal["auto", "json", "console"] = setting_field(
        "auto",
        "GOVID_LOG_FORMAT",
        doc="auto, json or console; auto is JSON unless standard error is a terminal",
    )
