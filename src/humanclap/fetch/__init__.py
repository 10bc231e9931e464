"""Brings data sets from their publishers' addresses.

In: a data set's name and a folder. Out: its files, checked by hash. Begin with `relate`.
"""
