"""How mail leaves."""

from typing import Literal

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.naming import named


class Mail(BaseModel):
    """Settings of mail."""

    mail: Literal["auto", "folder", "smtp", "off"] = named(
        "auto",
        "GOVID_MAIL",
        doc="auto, folder, smtp or off; auto is a folder in `govid dev`, and else smtp if its host"
        " is set",
    )
    mail_from: str | None = named(
        None, "GOVID_MAIL_FROM", doc="Address that mail comes from; smtp needs one"
    )
    smtp_host: str | None = named(None, "GOVID_SMTP_HOST", doc="Server that takes mail")
    smtp_port: int = named(587, "GOVID_SMTP_PORT", doc="Its port", ge=1, le=65535)
    smtp_tls: Literal["starttls", "tls", "none"] = named(
        "starttls", "GOVID_SMTP_TLS", doc="starttls, tls (from the first byte, port 465) or none"
    )
    smtp_username: str | None = named(None, "GOVID_SMTP_USERNAME", doc="Who govid is there")
    smtp_password: SecretStr | None = named(None, "GOVID_SMTP_PASSWORD", doc="Its password there")
    smtp_timeout_seconds: float = named(
        10, "GOVID_SMTP_TIMEOUT_SECONDS", doc="How long it may take to answer", gt=0, le=60
    )
