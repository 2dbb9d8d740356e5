"""Verification of identifiers by the departments: requests, retries, evidence and results.

The departments' own checks are in the modules `nhs` and `hmrc`.
"""
