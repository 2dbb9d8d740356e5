"""Environment variables of outgoing email."""

from typing import Literal

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.naming import setting_field


class MailVariables(BaseModel):
    """Variables of outgoing email."""

    mail: Literal["auto", "folder", "smtp", "off"] = setting_field(
        "auto",
        "GOVID_MAIL",
        doc="auto, folder, smtp or off; auto is folder in `govid dev`, otherwise smtp if its host "
        "is set",
    )
    mail_from: str | None = setting_field(
        None, "GOVID_MAIL_FROM", doc="Sender address of emails; required for smtp"
    )
    smtp_host: str | None = setting_field(
        None, "GOVID_SMTP_HOST", doc="SMTP server for outgoing email"
    )
    smtp_port: int = setting_field(
        587, "GOVID_SMTP_PORT", doc="Port of the SMTP server", ge=1, le=65535
    )
    smtp_tls: Literal["starttls", "tls", "none"] = setting_field(
        "starttls",
        "GOVID_SMTP_TLS",
        doc="Encryption: starttls, tls (from the first byte, port 465) or none",
    )
    smtp_username: str | None = setting_field(
        None, "GOVID_SMTP_USERNAME", doc="User name at the SMTP server"
    )
    smtp_password: SecretStr | None = setting_field(
        None, "GOVID_SMTP_PASSWORD", doc="Password at the SMTP server"
    )
    smtp_timeout_seconds: float = setting_field(
        10, "GOVID_SMTP_TIMEOUT_SECONDS", doc="Timeout of the SMTP server in seconds", gt=0, le=60
    )
