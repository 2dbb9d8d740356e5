"""Clients of HMRC: its APIs, a local replacement, and none. Not inside: the simulated HMRC."""
