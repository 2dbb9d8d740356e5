"""Checks settings, database, Kafka and accounts, for `govid check` and before `govid serve` starts.

A problem blocks the start, a warning does not. The checks change nothing. The state of a running
process is reported by `gateway/endpoints/health.py`.
"""
