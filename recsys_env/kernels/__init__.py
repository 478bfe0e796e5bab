"""The transition of the game, compiled: one file per stage of a tick, in the order of the data.

    equations.py    every formula of the game, once: functions of numbers
    actions.py      what the agents ask for
    page_kinds.py   how the kinds of page differ: who is active, ranks, who competes
    auction.py      what the slot of an auction page is worth to each bidder, and the budgets
    page.py         what can stand on a page, prices, stock; which slots are real
    platform.py     a platform of creators: publishing, ranking the page, what creators see
    choice.py       utility of each slot, the click
    feedback.py     what follows a click: dwell, cart, purchases, rating
    objectives.py   what agents are paid for the page itself: diversity, novelty, fairness; reward sharing
    dynamics.py     what the visit changes, who comes next
    requests.py     what a visitor says that it wants
    retrieval.py    the candidates of the next page
    observation.py  what agents see of it
    step.py         the stages of a tick in this order, over chunks of copies: `run`

    expected.py     exact expectations of a page
    explain.py      its utilities, term by term
    outcomes.py     the outcomes of a tick one by one, for exact tables
    rollout.py      many ticks in one call, with compiled policies
    page_choices.py, page_vectors.py   passes over a log of pages, for `recsys_env.fitting`
    past.py         how people responded to each item before the game begins

    planners/       what policies and metrics compute
    machine/        the compiler, random numbers, numeric functions: no rule of the game

All are functions of (world, state, report, scratch) and the index b of one copy, or of those from `first` to `stop` - 1
where exponentials and logarithms are taken in passes over copies; the entries take all copies.
"""
