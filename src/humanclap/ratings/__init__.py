"""Ratings and choices of people: read, screen, standardise, aggregate. No torch.

In: tables of RELATE, XACLE or a plain form, an answer a row. Out: targets, a mean rating a pair,
and what was left out and why. Begin with `read`, then `screening` and `aggregate`.
"""
