"""Sessions: access-token authentication, issuing, refresh-token rotation, revocation, expiry.

Access tokens and signing keys are in `identity/tokens`.
"""
