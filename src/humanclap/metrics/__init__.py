"""Measures of agreement, of ratings and of choices; numpy and scipy alone.

In: arrays. Out: numbers with their intervals. Begin with `agreement` (SRCC and its like) and
`bootstrap` (the width of an interval); `ceiling`, `reliability`, `permutation` and `bradley_terry`
are what their names say.
"""
