"""Which text-to-audio system follows its prompts best, as a metric sees it.

In: score tables of several systems on the same prompts. Out: `result.Leaderboard`: means, ranks and
intervals over prompts, and a test of every two systems (`duels`). Begin with `rank.leaderboard`.
"""
