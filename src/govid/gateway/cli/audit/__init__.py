"""The command group `govid audit`: searches, exports and verifies the audit log.

What is read and checked is in `govid.bus.audit`; these modules read options and print results.
"""
