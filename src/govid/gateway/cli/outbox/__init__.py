"""The command group `govid outbox`: inspects, repairs, replays and verifies deliveries.

The operator actions are in `govid.bus.operations`; these modules read options, ask for
confirmation and print results.
"""
