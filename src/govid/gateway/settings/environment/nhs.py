"""Environment variables of the NHS."""

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.lists import PracticeList
from govid.gateway.settings.environment.naming import DepartmentMode, setting_field


class NhsVariables(BaseModel):
    """Variables of the patient registry and of appointment booking."""

    patient_registry: DepartmentMode = setting_field(
        "auto",
        "GOVID_PATIENT_REGISTRY",
        doc="Verifier of NHS numbers: auto, remote, simulator or off; auto is remote if "
        "credentials are set, otherwise simulator in `govid dev` and off in `govid serve`",
    )
    nhs_base_url: str | None = setting_field(
        None,
        "GOVID_NHS_BASE_URL",
        doc="Host of the NHS's APIs: https://api.service.nhs.uk",
        pattern=r"^https?://[^/?#]+$",
    )
    nhs_client_id: str | None = setting_field(
        None, "GOVID_NHS_CLIENT_ID", doc="API key of govid's application at the NHS"
    )
    nhs_key_id: str | None = setting_field(
        None, "GOVID_NHS_KEY_ID", doc="Id (kid) of the public key that the NHS fetches from govid"
    )
    nhs_private_key: SecretStr | None = setting_field(
        None,
        "GOVID_NHS_PRIVATE_KEY",
        doc="Private key that belongs to GOVID_NHS_KEY_ID, RSA in PEM; preferably as a file",
    )
    appointment_provider: DepartmentMode = setting_field(
        "auto",
        "GOVID_APPOINTMENT_PROVIDER",
        doc="Appointment booking: auto, remote, simulator or off; auto follows the patient "
        "registry, but is off if that is remote and no practices are set",
    )
    nhs_ods_code: str | None = setting_field(
        None,
        "GOVID_NHS_ODS_CODE",
        doc="ODS code of the organisation for which govid books",
        pattern=r"^[A-Z0-9]{3,12}$",
    )
    nhs_endpoint: str | None = setting_field(
        None,
        "GOVID_NHS_ENDPOINT",
        doc="Number of that organisation in the Directory of Services, for answers of practices",
        pattern=r"^[0-9]{1,20}$",
    )
    nhs_practices: PracticeList = setting_field(
        (),
        "GOVID_NHS_PRACTICES",
        doc="Practices that take bookings: specialty=number in the Directory of Services@ODS code, "
        "as JSON list or with commas",
    )
    sim_patient_registry_fault: str = setting_field(
        "",
        "GOVID_SIM_PATIENT_REGISTRY_FAULT",
        doc="Fault of the simulated NHS: 503, or 503:0.2 for every fifth call",
    )
