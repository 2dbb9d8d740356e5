"""Environment variables of both departments."""

from pydantic import BaseModel

from govid.gateway.settings.environment.naming import setting_field


class DepartmentVariables(BaseModel):
    """Variables of both departments."""

    allow_simulators: bool = setting_field(
        False, "GOVID_ALLOW_SIMULATORS", doc="Allow `govid serve` to run with simulated departments"
    )
    department_limits: bool = setting_field(
        True,
        "GOVID_DEPARTMENT_LIMITS",
        doc="Keep the departments' rate limits; false only for demonstrations and benchmarks",
    )
