"""The rated pairs and choices that are trained on.

In: the tables a user names. Out: `dataset` rows with their files, and `splits` without leakage
between training and validation. Begin with `inputs`.
"""
