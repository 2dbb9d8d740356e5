"""The command line `govid`: operator commands, servers and demonstrations.

| command | file |
|---|---|
| `govid`, exit codes of errors | `commands.py` |
| `dev` | `serving/dev.py`; after the start of its backends `serving/dev_run.py` |
| `serve` | `serving/serve.py` |
| `simulators` | `serving/simulators.py` |
| `migrate` | `migrate.py` |
| `check` | `check.py` |
| `config show`, `config example` | `config.py` |
| `seed` | `seed.py` |
| `demo` | `demo/command.py`; its scenarios in `demo/scenarios.py` |
| `events tail` | `events.py` |
| `outbox status`, `groups`, `list`, `show` | `outbox/inspection.py` |
| `outbox retry`, `unpark`, `discard` | `outbox/repair.py` |
| `outbox replay`, `backfill` | `outbox/replay.py` |
| `outbox verify` | `outbox/verify.py` |
| `topics list`, `accept`, `accept-ahead`, `accept-gap`, `skip` | `topics.py` |
| `accounts show`, `block`, `restore`, `forgive`, `release` | `accounts.py` |
| `audit search`, `export`, `verify` | `audit/`; the first two use `audit/views.py` |
| `keys list`, `rotate`, `retire`, `status`, `reencrypt` | `keys.py` |
| `asyncapi` | `asyncapi.py` |

What commands share: `errors` (exit codes), `output` (tables, JSON, progress), `prompts`
(confirmation), `filters` (options that select deliveries), `operator` (options, confirmation and
batches of operator actions), `target` (which database and Kafka, and connections to them),
`components` (the application's components without a server).

`asyncapi`, `check` and `config` are small files of their own: each imports only what its command
needs (I13). Not here is the logic of operator actions. It is in `govid.bus.operations` and
`govid.identity`; commands read options, ask for confirmation and print results.
"""

from govid.gateway.cli.commands import main

__all__ = ["main"]
