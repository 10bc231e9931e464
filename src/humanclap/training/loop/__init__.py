"""Batches to gradients to steps, an epoch at a time, resumable to the bit.

In: splits, towers and an objective. Out: trained weights, a log and a state. Begin with
`loop.train`; `batches` says which pairs are in a batch, `validation` how good the model is, and
`state` where a later run goes on.
"""
