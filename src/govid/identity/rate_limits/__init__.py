"""Rate limits and lockout: login throttle, brute-force alarm, registration quota, wait queue.

Quotas of the other actions are in `bus/storage/quotas.py`.
"""
