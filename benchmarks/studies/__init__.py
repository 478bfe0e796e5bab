"""What tasks ask of an algorithm, and how policies compare: one question in each module.

Run a module as `python -m benchmarks.studies.MODULE`; its docstring says what it measures. Most store
benchmarks/results/MODULE.json. `by_policy`, `played` and `ranker_searches` are what several of them share or are built
from, and `backgrounds` trains the policies of scenarios, which are part of the package.
"""
