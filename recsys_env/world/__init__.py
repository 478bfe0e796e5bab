"""What a config becomes: the arrays of a world, which never change while it is played.

arrays.py    `World` (read-only arrays), `State` (what changes, leading axis B), `Report` (what a step tells)
build.py     builds the `World` of a config
partners.py  the map of what goes with what
terms.py     which terms of the utility count in a world, and what they depend on
history.py   what an agent remembers of its visitors
texts/       what items are called, and what visitors ask for
"""
