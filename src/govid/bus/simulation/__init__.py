"""What simulated departments have in common: they confess, they misbehave on request, they limit.

For `govid dev`, tests and rehearsals only. A simulator is an ASGI application; `Simulated` is put
around it.
"""

from govid.bus.simulation.buckets import TokenBucket
from govid.bus.simulation.faults import Fault, Faults
from govid.bus.simulation.simulated import ErrorBody, Simulated

__all__ = ["ErrorBody", "Fault", "Faults", "Simulated", "TokenBucket"]
