"""How long steps, adapters and trainers take, on the CPU and on a GPU.

Run a module as `python -m benchmarks.speed.MODULE`: `step`, `profile`, `trainers` or `gpu`. Nothing else should run on
the machine meanwhile.
"""
