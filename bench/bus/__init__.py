"""What the bus promises, beside what the same machine does without it. Only clean ledgers count."""
