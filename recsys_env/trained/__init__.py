"""Play trained networks: the policies in the folders that `python -m baselines train` writes.

The package brings everything that plays such a folder; what trains one is in the repository's `baselines`. Each module
is one loader of `recsys_env.policies.LOADERS` or something that loaders share:

    networks.py                        feed-forward networks, one for each agent (BenchMARL's learners)
    pages.py                           networks that score what a page can show (`ppo-torch`, `q-torch`)
    generative.py, semantic_ids.py, sizes.py
                                       the generative recommender
    sb3.py, slates.py                  actor-critic networks of stable-baselines3
    folders.py, weights.py             the files in a folder, and arrays as weights of a network

All but folders.py, semantic_ids.py and sizes.py import torch, so they are imported when a folder is loaded.
"""
