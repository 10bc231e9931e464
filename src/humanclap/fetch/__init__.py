"""Downloads data sets from their publishers.

In: a data set's name and a folder. Out: its files, checked by hash. Begin with `relate`.
"""
