"""Learners, and the command that trains them. An algorithm's file holds its options and says what it is made of.

ippo.py, maskable_ppo.py, recurrent_ppo.py, transformer_ppo.py
                                                            PPO of stable-baselines3
ippo_separate.py                                            PPO of skrl
benchmarl.py                                                MAPPO, MADDPG, MASAC, IQL, VDN, QMIX, PPO by role
ppo_torch.py, q_torch.py                                    IPPO and MAPPO, IQL, VDN and QMIX, in one file each of plain
                                                            PyTorch, to read and change (options: torch_learners.py)
cma_es.py                                                   CMA-ES of pycma, of rankers
rllib_cluster.py                                            PPO of RLlib on several machines

options.py  ->  training.py  ->  train.py                   from an algorithm's options to a run, and the command
sb3_learner.py, skrl_learner.py, benchmarl_learner.py       what trains, by library
slate_network.py, history_network.py, skrl_networks.py, page_networks.py
                                                            what is trained
page_buffers.py, page_links.py, self_play.py                what it learns from, and against whom
checkpoints.py, weights.py, networks.py, sb3_policies.py    what a run leaves behind, and how it is loaded
reference.py, training_results.py                           the learners whose results are published
"""
