"""Which parameters learn, and how clips and texts reach the model.

In: a backbone and the settings. Out: towers, which encode batches, from clips or from
features that are kept. Begin with `towers`; `parameters` says what moves at which rate.
"""
