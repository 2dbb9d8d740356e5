"""Passwords and logins: hashing, login, password change and reset, re-authentication.

Password rules are in `identity/password_policy.py`, throttling is in `identity/rate_limits`.
"""
