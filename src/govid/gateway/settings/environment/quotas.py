"""Environment variables of the quotas of one account."""

from pydantic import BaseModel

from govid.gateway.settings.environment.naming import setting_field


class QuotaVariables(BaseModel):
    """Variables of quotas; 0 is off. The defaults are far above the use of ordinary clients."""

    quota_patient_records: int = setting_field(
        100, "GOVID_QUOTA_PATIENT_RECORDS", doc="Patient records filed per account", ge=0
    )
    quota_tax_records: int = setting_field(
        100, "GOVID_QUOTA_TAX_RECORDS", doc="Tax records filed per account", ge=0
    )
    quota_live_appointments: int = setting_field(
        4,
        "GOVID_QUOTA_LIVE_APPOINTMENTS",
        doc="Future appointments per account, requested or confirmed",
        ge=0,
    )
    quota_live_appointments_per_specialty: int = setting_field(
        1,
        "GOVID_QUOTA_LIVE_APPOINTMENTS_PER_SPECIALTY",
        doc="Future appointments per account and specialty",
        ge=0,
    )
    quota_appointment_changes_per_day: int = setting_field(
        10,
        "GOVID_QUOTA_APPOINTMENT_CHANGES_PER_DAY",
        doc="Bookings, moves and cancellations per account and day",
        ge=0,
    )
    quota_slot_searches_per_minute: int = setting_field(
        60,
        "GOVID_QUOTA_SLOT_SEARCHES_PER_MINUTE",
        doc="Searches for free slots per account and minute",
        ge=0,
    )
    quota_consents_per_hour: int = setting_field(
        10,
        "GOVID_QUOTA_CONSENTS_PER_HOUR",
        doc="Started HMRC consents per account and hour",
        ge=0,
    )
    quota_verifications_per_hour: int = setting_field(
        5,
        "GOVID_QUOTA_VERIFICATIONS_PER_HOUR",
        doc="Verification requests per account and hour",
        ge=0,
    )
    quota_exports_per_hour: int = setting_field(
        6, "GOVID_QUOTA_EXPORTS_PER_HOUR", doc="Data exports per account and hour", ge=0
    )
    quota_emails_per_hour: int = setting_field(
        5,
        "GOVID_QUOTA_EMAILS_PER_HOUR",
        doc="Requested emails of one kind per recipient and hour, over all accounts",
        ge=0,
    )
