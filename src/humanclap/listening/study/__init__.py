"""A study on disk or in a database, and all that is written into it while it runs.

In: designs, sessions, answers. Out: each answer stored once and never changed. Begin with
`study.open_study`; `schema` has the tables, `answers` and `sessions` write them.
"""
