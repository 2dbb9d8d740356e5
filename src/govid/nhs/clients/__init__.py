"""Clients of the NHS: patient registry (PDS) and booking standard (BaRS), real, local or off.

`interfaces.py` declares what the use cases need, `factory.py` builds the implementation that the
settings name. Only the factory imports the simulator.
"""
