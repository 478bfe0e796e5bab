"""What tasks ask of an algorithm, and how policies compare: one question in each module.

Run a module as `python -m benchmarks.studies.MODULE`; its docstring says what it measures. Most store
benchmarks/results/MODULE.json. `study` holds what all share: options, cells that are stored one by one, and rows of
policies. `played`, `trainings` and `ranker_searches` are what several are built from, and `backgrounds` searches for
the policies that are part of the package.
"""
