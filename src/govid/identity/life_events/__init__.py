"""Account status: death notices, blocks and restores by operators, and scheduled notices.

The history of notices is stored by `repository.life_events`. Operator commands are in
`accounts.administration`.
"""
