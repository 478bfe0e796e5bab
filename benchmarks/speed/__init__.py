"""How long steps, adapters, trainers and logs take, on the CPU and on a GPU, and how fast RecSim NG is.

Run a module as `python -m benchmarks.speed.MODULE`: `step`, `profile`, `trainers`, `gpu`, `logs` or `recsim_ng`.
Nothing else should run on the machine meanwhile.
"""
