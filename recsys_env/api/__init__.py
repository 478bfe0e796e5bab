"""The standard interfaces of a game.

environment.py  one copy as a PettingZoo environment; aec.py: its agents in turn
views.py        the game as Gymnasium sees it
focal.py        a batch as some of its agents see it, while policies act for the others
team_sizes.py   teams of several sizes as one environment
rollouts.py     many ticks of policies in one compiled call
render.py       pages as text and pictures
"""
