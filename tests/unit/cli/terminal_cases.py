"""What each command does on a terminal; `tests/integration/cli/test_terminal.py` runs the cases."""

REASON = ("--reason", "a test")
YES = (("[y/N]:", "y\n"),)
SERVERS = {("dev",), ("serve",), ("simulators",)}
"""Commands that run until they are stopped; they have tests of their own."""
DEMONSTRATION = {("seed",), ("demo",)}
"""Commands that need a running `govid dev`."""
CASES: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[tuple[str, str], ...], int]] = {
    # The arguments, in which ids of the scene are filled in; pairs of a question and the keys to
    # press; the exit code.
    ("migrate",): ((), (), 0),
    ("check",): ((), (), 5),
    ("config", "show"): ((), (), 0),
    ("config", "example"): ((), (), 0),
    ("events", "tail"): (("--source", "outbox", "--since", "1h", "--no-follow"), (), 0),
    ("outbox", "status"): ((), (), 0),
    ("outbox", "list"): ((), (), 0),
    ("outbox", "show"): (("{parked}",), (), 0),
    ("outbox", "groups"): ((), (), 0),
    ("outbox", "retry"): (("--id", "{parked}", *REASON), YES, 0),
    ("outbox", "unpark"): (("--id", "{parked}", *REASON), YES, 0),
    ("outbox", "discard"): (("--id", "{dead}", *REASON), YES, 0),
    ("outbox", "replay"): (("--subscriber", "kafka.relay", *REASON), YES, 0),
    ("outbox", "backfill"): (
        ("--subscriber", "nhs.verification", "--since", "1h", *REASON),
        YES,
        0,
    ),
    ("outbox", "verify"): (("--without-kafka",), (), 5),
    ("topics", "list"): ((), (), 0),
    ("topics", "accept"): (("nhs.appointment.request", *REASON), (), 4),
    ("topics", "accept-gap"): (("hmrc.death.notification", "0", "17", *REASON), (), 1),
    ("topics", "skip"): (("nhs.appointment.request", "0", "7", *REASON), (), 1),
    ("topics", "accept-ahead"): (REASON, (), 4),
    ("audit", "search"): (("--restricted", *REASON), (), 0),
    ("audit", "export"): (("--since", "1h"), (), 0),
    ("audit", "verify"): ((), (), 0),
    ("keys", "list"): ((), (), 0),
    ("keys", "rotate"): (("--now", *REASON), YES, 0),
    ("keys", "retire"): (("no-such-key", *REASON), (), 3),
    ("accounts", "show"): (("--email",), (("address:", "ada.l@example.com\n"),), 0),
    ("accounts", "block"): (("{account}", *REASON), YES, 0),
    ("accounts", "forgive"): (("{account}", *REASON), (("[y/N]:", "n\n"),), 130),
    ("accounts", "release"): (("{account}", *REASON), (), 1),
    ("accounts", "restore"): (("{account}", *REASON), (), 1),
    ("asyncapi",): ((), (), 0),
}
SHOWN: dict[tuple[str, ...], tuple[str, ...]] = {
    # The ids of the scene that a command has to show.
    ("events", "tail"): ("account",),
    ("outbox", "list"): ("parked", "dead", "pending"),
    ("outbox", "show"): ("parked",),
    ("outbox", "groups"): ("parked", "dead"),
    ("outbox", "verify"): ("lost",),
    ("accounts", "show"): ("account",),
}
