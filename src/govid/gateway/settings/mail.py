"""How mail leaves, from what the environment says about it."""

from urllib.parse import urlsplit

from govid.gateway.settings.environment import Environment
from govid.identity import MailSettings, SmtpSettings


def mail_of(environment: Environment, public_url: str, *, demonstration: bool) -> MailSettings:
    """Say how mail leaves; `auto` is a folder in a demonstration, and else a server if one is set.

    Raises:
        ValueError: a server is wanted, and it or the sender is missing.
    """
    way = environment.mail
    if way == "auto":
        way = "folder" if demonstration else "smtp" if environment.smtp_host else "off"
    sender = environment.mail_from or f"no-reply@{urlsplit(public_url).hostname}"
    if way == "folder":
        return MailSettings(sender=sender, folder=environment.data_dir / "mail")
    if way == "off":
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
