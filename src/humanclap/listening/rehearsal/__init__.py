"""A study taken by simulated listeners, through real HTTP, before people take it.

In: a study and a stated model of its listeners. Out: answers that are marked as simulated, and
whether every page held. Begin with `simulate`; `bots` go through the pages as browsers do.
"""
