"""Builds identity's email settings from the environment."""

from urllib.parse import urlsplit

from govid.gateway.settings.environment.everything import Environment
from govid.identity import MailSettings, SmtpSettings


def build_mail_settings(
    environment: Environment, public_url: str, *, demonstration: bool
) -> MailSettings:
    """Build the email settings.

    `auto` is a folder in a demonstration, otherwise SMTP if a server is set, and off without one.

    Raises:
        ValueError: SMTP is chosen, and the server or the sender is missing.
    """
    transport = environment.mail
    if transport == "auto":
        transport = "folder" if demonstration else "smtp" if environment.smtp_host else "off"
    sender = environment.mail_from or f"no-reply@{urlsplit(public_url).hostname}"
    if transport == "folder":
        return MailSettings(sender=sender, folder=environment.data_dir / "mail")
    if transport == "off":
        return MailSettings(sender=sender)
    if environment.smtp_host is None or environment.mail_from is None:
        raise ValueError("GOVID_MAIL is smtp, so GOVID_SMTP_HOST and GOVID_MAIL_FROM are needed")
    password = environment.smtp_password
    return MailSettings(
        sender=sender,
        smtp=SmtpSettings(
            host=environment.smtp_host,
            port=environment.smtp_port,
            tls=environment.smtp_tls,
            username=environment.smtp_username,
            password=None if password is None else password.get_secret_value(),
            timeout_seconds=environment.smtp_timeout_seconds,
        ),
    )
