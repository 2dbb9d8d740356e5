"""Outgoing e-mail: the outbox, its sender, message texts and transports (ADR-0015).

The stored rows are in `identity/repository/outgoing_email.py`.
"""
