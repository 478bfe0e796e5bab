"""The modules of the package's own compiler, written with numba's public interface alone.

dispatchers.py  kernels and entries as numba compiles any function
packed.py       the arrays of a batch in one tuple
pointers.py     their types
specialize.py   nothing is a constant of the code: batches of any size run the same
threads.py      the step over several threads, which are Python's
vectors.py      sums over vectors as loops, in the same order

The results are the same, bit for bit. `recsys_env.cuda` takes the files that it shares with the CPU from here.
"""
