"""The audit log: entries of events, the Merkle tree over them, checkpoints and proofs.

Entries are written by the outbox, with the events that they come from. This package builds them,
seals them, reads them and verifies them. What a request may read is decided by its caller.
"""
