"""Wraps simulated departments: a marker header, fault injection and a rate limit.

For `govid dev`, tests and demonstrations only. A simulator is an ASGI application, and
`SimulatedUpstream` wraps it.
"""

from govid.bus.simulation.buckets import TokenBucket
from govid.bus.simulation.faults import FaultInjector, InjectedFault
from govid.bus.simulation.simulated import ErrorBodyFactory, SimulatedUpstream

__all__ = ["ErrorBodyFactory", "FaultInjector", "InjectedFault", "SimulatedUpstream", "TokenBucket"]
