"""Measurements of the environment: its speed, its correctness, what its tasks ask, and which libraries work with it.

speed/     how long steps, adapters and trainers take, on the CPU and on a GPU
checks/    whether the game keeps its rules, refuses bad input and plays as it did
studies/   what tasks ask of an algorithm, and how policies compare
compat/    whether each trainer library and each extra installs and works
results/   the stored results, from which the site makes its tables

The modules that lie directly here handle stored results: `result_files` writes and reads them, and `take_in` adds an
evaluation to them.
Every command describes itself: `python -m benchmarks.checks.soak --help`.
"""
