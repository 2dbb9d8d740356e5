"""HTTP routes of identity: they decode the request, call a use case and return its result.

Rules and transactions are not here, but in the use cases.
"""
