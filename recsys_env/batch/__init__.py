"""Many copies of a game at once.

base.py          what every batch offers
game.py          a batch that plays its copies itself: vector.py on the CPU, ../cuda/ on a GPU by the same kernels
worlds.py        batches of several worlds side by side
actions.py       how a batch reads actions; infos.py: what it reports
spaces.py        the Gymnasium spaces; observations.py: the flat vector and the dict of its parts
replacement.py   what a world that replaces another one may hold; memory.py: whether a batch fits
tensors.py       arrays for PyTorch
"""
