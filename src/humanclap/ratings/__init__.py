"""Ratings and choices of people: read, screen, standardise, aggregate. No torch.

In: tables in the form of RELATE, XACLE or humanclap, one answer a row. Out: targets (the mean
rating of each pair), and what was left out and why. Begin with `read`, then `screening` and
`aggregate`; for choices with `choices` and `choice_screening`.
"""
