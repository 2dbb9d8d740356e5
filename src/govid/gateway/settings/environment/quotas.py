"""What one account may store, and how often it may do something."""

from pydantic import BaseModel

from govid.gateway.settings.environment.naming import named


class Quotas(BaseModel):
    """Settings of quotas; 0 is off. They are far above what ordinary clients do."""

    quota_patient_records: int = named(
        100, "GOVID_QUOTA_PATIENT_RECORDS", doc="Patient records an account may file", ge=0
    )
    quota_tax_records: int = named(
        100, "GOVID_QUOTA_TAX_RECORDS", doc="Tax records an account may file", ge=0
    )
    quota_live_appointments: int = named(
        4,
        "GOVID_QUOTA_LIVE_APPOINTMENTS",
        doc="Appointments an account may have ahead, requested or confirmed",
        ge=0,
    )
    quota_live_appointments_per_specialty: int = named(
        1,
        "GOVID_QUOTA_LIVE_APPOINTMENTS_PER_SPECIALTY",
        doc="How many of these may be of one specialty",
        ge=0,
    )
    quota_appointment_changes_per_day: int = named(
        10,
        "GOVID_QUOTA_APPOINTMENT_CHANGES_PER_DAY",
        doc="Bookings, moves and cancellations of one account",
        ge=0,
    )
    quota_slot_searches_per_minute: int = named(
        60,
        "GOVID_QUOTA_SLOT_SEARCHES_PER_MINUTE",
        doc="Searches for free slots by one account",
        ge=0,
    )
    quota_consents_per_hour: int = named(
        10,
        "GOVID_QUOTA_CONSENTS_PER_HOUR",
        doc="How often an account may begin to consent at HMRC",
        ge=0,
    )
    quota_verifications_per_hour: int = named(
        5,
        "GOVID_QUOTA_VERIFICATIONS_PER_HOUR",
        doc="How often an account may ask to be verified",
        ge=0,
    )
    quota_exports_per_hour: int = named(
        6, "GOVID_QUOTA_EXPORTS_PER_HOUR", doc="Exports of one account's data", ge=0
    )
    quota_emails_per_hour: int = named(
        5,
        "GOVID_QUOTA_EMAILS_PER_HOUR",
        doc="E-mails of one kind that are asked for, to one recipient, by whichever accounts",
        ge=0,
    )
