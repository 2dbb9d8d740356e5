"""Access tokens and their signing keys: signing, verification, key rotation.

Whether the session of a token is live is decided in `identity/sessions`.
"""
