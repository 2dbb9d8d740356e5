"""Operator actions on stored deliveries, and audits of the outbox and of Kafka.

Queries, replay, backfill, repairs and audits; the commands of the CLI only format their results.
Every change is committed with the event that records it. Nothing here runs in the server.
"""
