"""Whether the game keeps its rules, refuses bad input and plays as it did; and whether the tests would notice a fault.

Run a module as `python -m benchmarks.checks.MODULE`: `unchanged`, `soak`, `mutants` or `bad_inputs`. The soak uses
`rules` and `random_worlds`, and the bad inputs are drawn by `bad_cases`.
"""
