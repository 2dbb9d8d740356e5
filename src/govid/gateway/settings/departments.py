"""Builds the settings of nhs, hmrc and outgoing email from the environment.

Decides which client serves a department (real, simulated or off) and with which credentials.
"""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from govid.gateway.settings.environment import Environment
from govid.gateway.settings.fields import DepartmentMode
from govid.hmrc import SIMULATOR_PAGES_PATH, HmrcQuotas, HmrcSettings
from govid.identity import MailSettings, SmtpSettings
from govid.nhs import NhsQuotas, NhsSettings, Practice


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
    return MailSettings(sender=sender, smtp=environment.build_struct(SmtpSettings, prefix="smtp_"))


ResolvedMode = Literal["remote", "simulator", "off"]

CONSENT_HOSTS = {
    "https://api.service.hmrc.gov.uk": "https://www.tax.service.gov.uk",
    "https://test-api.service.hmrc.gov.uk": "https://test-www.tax.service.gov.uk",
}
"""The host of the consent page for each host of HMRC's APIs. A simulator serves both."""
OUT_OF_BAND_URI = "urn:ietf:wg:oauth:2.0:oob"
"""The redirect URI without a page to return to: HMRC shows the code to the citizen instead."""


def build_nhs_settings(environment: Environment, *, demonstration: bool) -> NhsSettings:
    """Build the settings of nhs.

    Raises:
        ValueError: some credentials are set, and others are missing.
    """
    credentials = {
        "GOVID_NHS_BASE_URL": environment.nhs_base_url,
        "GOVID_NHS_CLIENT_ID": environment.nhs_client_id,
        "GOVID_NHS_KEY_ID": environment.nhs_kid,
        "GOVID_NHS_PRIVATE_KEY": environment.nhs_private_key,
    }
    registry = _resolve_mode(
        "GOVID_PATIENT_REGISTRY",
        environment.patient_registry,
        credentials,
        demonstration=demonstration,
    )
    return environment.build_struct(
        NhsSettings,
        prefix="nhs_",
        registry=registry,
        accept_prototype_nhs=registry == "simulator",
        takes_bookings=_can_take_bookings(environment, registry),
        practices=tuple(map(_parse_practice, environment.nhs_practices)),
        are_limits_lifted=not environment.department_limits,
        may_be_simulated=demonstration or environment.allow_simulators,
        quotas=environment.build_struct(NhsQuotas, prefix="quota_"),
    )


def _can_take_bookings(environment: Environment, registry: ResolvedMode) -> bool:
    """Return whether an appointment provider is available.

    It is always the same NHS that verifies NHS numbers: otherwise a simulated verification could
    lead to a real appointment, or the reverse.

    Raises:
        ValueError: another NHS is chosen, or some of its settings are missing.
    """
    mode = environment.appointment_provider
    if mode == "off":
        return False
    if mode not in ("auto", registry):
        raise ValueError(
            f"GOVID_APPOINTMENT_PROVIDER is {mode}, and the patient registry is {registry}"
        )
    if registry != "remote":
        return registry == "simulator"
    needed = {
        "GOVID_NHS_ODS_CODE": environment.nhs_ods_code,
        "GOVID_NHS_ENDPOINT": environment.nhs_endpoint,
        "GOVID_NHS_PRACTICES": environment.nhs_practices,
    }
    missing = [name for name, value in needed.items() if not value]
    if mode == "auto" and len(missing) == len(needed):
        return False
    if missing:
        raise ValueError(
            f"GOVID_APPOINTMENT_PROVIDER is {mode}, and these are not set: {', '.join(missing)}"
        )
    return True


def _parse_practice(text: str) -> Practice:
    specialty, _, place = text.rpartition("=")
    service, _, ods = place.partition("@")
    return Practice(specialty=specialty.strip(), service=service, ods_code=ods)


def build_hmrc_settings(
    environment: Environment,
    *,
    demonstration: bool,
    public_url: str,
    encryption_keys: tuple[bytes, ...],
) -> HmrcSettings:
    """Build the settings of hmrc. Only a simulated HMRC publishes simulated death notices.

    A simulated consent page is served below *public_url*. Stored consents are encrypted with the
    first of *encryption_keys*; the others only decrypt.

    Raises:
        ValueError: some credentials are set, and others are missing.
    """
    credentials = {
        "GOVID_HMRC_BASE_URL": environment.hmrc_base_url,
        "GOVID_HMRC_CLIENT_ID": environment.hmrc_client_id,
        "GOVID_HMRC_CLIENT_SECRET": environment.hmrc_client_secret,
    }
    registry = _resolve_mode(
        "GOVID_NINO_VERIFIER",
        environment.nino_verifier,
        credentials,
        demonstration=demonstration,
    )
    tax_records = _tax_records_mode(environment, credentials, demonstration=demonstration)
    base_url = environment.hmrc_base_url or ""
    return environment.build_struct(
        HmrcSettings,
        prefix="hmrc_",
        registry=registry,
        simulate_death=environment.hmrc_simulate_death and registry == "simulator",
        tax_records=tax_records,
        consent_url=(
            f"{public_url}{SIMULATOR_PAGES_PATH}"
            if tax_records == "simulator"
            else environment.hmrc_consent_url or CONSENT_HOSTS.get(base_url, base_url)
        ),
        redirect_uri=environment.hmrc_redirect_uri or OUT_OF_BAND_URI,
        encryption_key=encryption_keys[0],
        old_encryption_keys=tuple(key for key in encryption_keys[1:] if key),
        are_limits_lifted=not environment.department_limits,
        may_be_simulated=demonstration or environment.allow_simulators,
        quotas=environment.build_struct(HmrcQuotas, prefix="quota_"),
    )


def _tax_records_mode(
    environment: Environment, credentials: Mapping[str, object], *, demonstration: bool
) -> ResolvedMode:
    """Resolve the mode of tax records, which also need a redirect URI.

    Without one HMRC can still verify numbers; `auto` is then off for tax records.
    """
    mode = environment.tax_records
    if mode == "auto" and not any(credentials.values()):
        return "simulator" if demonstration else "off"
    if mode == "auto" and not environment.hmrc_redirect_uri:
        return "off"
    needed = {**credentials, "GOVID_HMRC_REDIRECT_URI": environment.hmrc_redirect_uri}
    return _resolve_mode("GOVID_TAX_RECORDS", mode, needed, demonstration=demonstration)


def _resolve_mode(
    name: str, mode: DepartmentMode, credentials: Mapping[str, object], *, demonstration: bool
) -> ResolvedMode:
    """Return which client serves a department, from *mode*, the value of the setting *name*.

    `auto` is the real department if all credentials are set. If none is set, it is a simulator
    under `govid dev` and off in production.
    """
    missing = [one for one, value in credentials.items() if not value]
    if mode in {"simulator", "off"}:
        return mode
    if not missing:
        return "remote"
    if mode == "auto" and len(missing) == len(credentials):
        return "simulator" if demonstration else "off"
    raise ValueError(f"{name} is {mode}, and these are not set: {', '.join(missing)}")
