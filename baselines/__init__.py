"""Learners, and the commands that train them: `python -m baselines --help`.

In the order of a run, where each module imports only from those before it:

options.py, algorithms.py                options that all share; each algorithm with its own options, library and reason
self_play.py, training.py                past selves; a run: its task, folder, batches and checkpoint
page_links.py, critic.py                 parts of learners: which page follows which, values of pages
logged_pages.py, pretraining.py          pages that policies have shown, and networks that predict their clicks
ppo_torch.py, q_torch.py                 IPPO and MAPPO; IQL, VDN and QMIX: one file each of plain PyTorch
generative_pretraining.py, generative_learner.py, grpo.py
                                         the generative recommender: on logged pages, by PPO, by GRPO
q_table.py, cma_es.py                    Q-learning with tables on finite games; CMA-ES of pycma
sb3_learner.py, benchmarl_learner.py     PPO of stable-baselines3; MAPPO and QMIX of BenchMARL
loop.py, train.py                        the training loop, and the command that begins it
learners.py, jobs.py, sweep.py           the table of published learners, lists of trainings, sweeps of settings
training_results.py, comparison.py, reference.py
                                         the published results, which learner earns more, the command that trains them
robustness.py, ship.py, paper.py         play beside other partners, checkpoints for the package, a user's algorithm
                                         beside the published learners
skrl_networks.py, cluster.py, language.py
                                         networks for skrl; RLlib on a cluster; tuning of a language model

What plays a trained network is in the package, in `recsys_env/trained/`.
"""
