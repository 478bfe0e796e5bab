"""What the rules of the game are compiled with. None of these files holds a rule.

rng.py          every random number: a hash of (seed, episode, tick, event, index)
numeric.py      exp, log, sigmoid, squash, the K largest
vectors.py      sums over vectors, written in vector instructions

compiler.py     `kernel`, `stage` and `entry`, and the cache of compiled code
pointers.py     arrays and records are passed to kernels by their address
packed.py       all arrays of a batch under one address, so that a call passes one number
aliasing.py     which accesses to memory can meet, for LLVM
specialize.py   which numbers of a world are constants in the code of large batches
addresses.py    functions called by the address of their machine code
threads.py      the step over several threads
"""
