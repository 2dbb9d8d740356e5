"""How the NHS is reached."""

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.lists import Practices
from govid.gateway.settings.environment.naming import Port, named


class Nhs(BaseModel):
    """Settings of the patient registry, and of the practices that take bookings."""

    patient_registry: Port = named(
        "auto",
        "GOVID_PATIENT_REGISTRY",
        doc="auto, remote, simulator or off; auto is remote with the NHS's credentials, "
        "without them a simulator in `govid dev` and off in `govid serve`",
    )
    nhs_base_url: str | None = named(
        None,
        "GOVID_NHS_BASE_URL",
        doc="Host of the NHS's interfaces: https://api.service.nhs.uk",
        pattern=r"^https?://[^/?#]+$",
    )
    nhs_client_id: str | None = named(
        None, "GOVID_NHS_CLIENT_ID", doc="Key of govid's application at the NHS"
    )
    nhs_key_id: str | None = named(
        None, "GOVID_NHS_KEY_ID", doc="Id (kid) of the public key that the NHS fetches from us"
    )
    nhs_private_key: SecretStr | None = named(
        None,
        "GOVID_NHS_PRIVATE_KEY",
        doc="The private key to it, RSA in PEM; better as a file",
    )
    appointment_provider: Port = named(
        "auto",
        "GOVID_APPOINTMENT_PROVIDER",
        doc="auto, remote, simulator or off; auto follows the patient registry, and is off where "
        "the NHS itself is asked and no practices are named",
    )
    nhs_ods_code: str | None = named(
        None,
        "GOVID_NHS_ODS_CODE",
        doc="Code (ODS) of the organisation that govid books for",
        pattern=r"^[A-Z0-9]{3,12}$",
    )
    nhs_endpoint: str | None = named(
        None,
        "GOVID_NHS_ENDPOINT",
        doc="Its own number in the Directory of Services, to which practices would write",
        pattern=r"^[0-9]{1,20}$",
    )
    nhs_practices: Practices = named(
        (),
        "GOVID_NHS_PRACTICES",
        doc="Who takes bookings: specialty=number in the Directory of Services@ODS code, "
        "as JSON list or with commas",
    )
    sim_patient_registry_fault: str = named(
        "",
        "GOVID_SIM_PATIENT_REGISTRY_FAULT",
        doc="What goes wrong at the simulated NHS: 503, or 503:0.2 for every fifth call",
    )
