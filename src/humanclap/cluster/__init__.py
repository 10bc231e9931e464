"""Score manifests of any length on a Ray cluster, or on Ray on this machine.

In: a manifest of pairs, as a path or an address. Out: a part of the score table for each shard of
rows, each row once, and the whole table. Begin with `run.scored_manifest`; `shards` divides,
`decoding` and `scoring` are the stages of `pipeline`, `ledger` knows who died of what.
"""
