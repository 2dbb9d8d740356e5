"""How departments are treated, all of them alike."""

from pydantic import BaseModel

from govid.gateway.settings.environment.naming import named


class Departments(BaseModel):
    """Settings of both departments."""

    allow_simulators: bool = named(
        False, "GOVID_ALLOW_SIMULATORS", doc="Let `govid serve` run with simulated departments"
    )
    department_limits: bool = named(
        True,
        "GOVID_DEPARTMENT_LIMITS",
        doc="Keep to the departments' limits; false only for demonstrations and benchmarks",
    )
