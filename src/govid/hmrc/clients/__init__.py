"""Clients of HMRC: its APIs, a local replacement, and none.

Inside: the interfaces, their implementations and `build_clients`, which chooses among them by
settings. Not inside: the simulated HMRC, which the clients know by its HTTP API only.
"""
