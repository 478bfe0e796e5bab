"""The transition of the game, compiled: one file per stage of a tick, in the order of the data.

    rng.py          every random number: a hash of (seed, episode, tick, event, index)
    numeric.py      exp, log, sigmoid, squash, the K largest; vectors.py: sums over vectors, in vector instructions
    equations.py    every formula of the game, once: functions of numbers
    page.py         what can stand on a page, prices, stock; which slots are real
    choice.py       utility of each slot, the click
    feedback.py     what follows a click: dwell, cart, purchases, rating
    dynamics.py     what the visit changes, who comes next
    retrieval.py    the candidates of the next page
    observation.py  what agents see of it
    step.py         the stages of a tick, over chunks of copies: `run`;  threads.py: over threads as well

    expected.py     exact expectations of a page;  explain.py: its utilities term by term
    options.py      what an agent may choose from, for policies;  appraisal.py: how good it is, for metrics
    assortment.py   the slate of a policy that believes something of each item (beliefs.py, slates.py)

    outcomes.py     the outcomes of a tick one by one, for exact tables

    compiler.py     `kernel` and `entry`, and the cache of compiled code
    constants.py    what the step of a large batch knows of its world when it is compiled
    accesses.py     which accesses to memory can meet, for LLVM
    references.py   in what form kernels take arrays and records, and hand them on
    handle.py       the arrays of a batch under one address, which costs less than to name them at every call

All are functions of (world, state, report, scratch) and the index b of one copy, or of those from `first` to `stop` - 1
where exponentials and logarithms are taken in passes over copies; the entries take all copies.
"""
