"""How long steps, adapters and trainers take, on the CPU and on a GPU, and how fast RecSim NG is.

Run a module as `python -m benchmarks.speed.MODULE`: `step`, `trainers`, `gpu` or `recsim_ng`. Nothing else should run
on the machine meanwhile.
"""
