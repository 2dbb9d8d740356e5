"""The command line `govid`: operator commands, servers and demonstrations.

A module holds one command or command group; `commands` has the table of all commands. The packages
are `outbox` (deliveries), `serving` (commands that run a server) and `demo` (scenarios). The logic
of operator actions is in `govid.bus.operations` and `govid.identity`: commands read options, ask
for confirmation and print results.
"""

from govid.gateway.cli.commands import main

__all__ = ["main"]
