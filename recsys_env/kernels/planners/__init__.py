"""Compiled computations of policies and metrics, outside the step.

options.py      what an agent may choose from
beliefs.py      what a policy believes of an item: its utility to the visitor, and what a click on it is worth
slates.py       the best slate for given utilities and values
assortment.py   the two together: the slate of a policy that holds a belief
weights.py      weights of features that rank a given slate first
appraisal.py    how good an agent's options are, for metrics
"""
