"""Losses on ratings and choices, as pure functions on tensors.

In: embeddings and ratings of a batch. Out: one number with a gradient. Begin with
`objective.loss_terms`, named terms to be summed; `losses` has sce and wsce (the weight of a pair),
`ranking` the losses on order.
"""
