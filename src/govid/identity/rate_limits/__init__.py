"""Rate limits and lockout: login throttle, brute-force alarm, registration quota, wait queue.

The lockout itself is decided in `repository/login_lockouts.py`. Quotas of the other actions are in
`bus/storage/quotas.py`.
"""
