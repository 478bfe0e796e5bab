"""Whether the game keeps its rules and plays as it did, and whether the tests would notice a fault.

Run a module as `python -m benchmarks.checks.MODULE`: `unchanged`, `soak` or `mutants`. The soak uses `rules` and
`random_worlds`.
"""
