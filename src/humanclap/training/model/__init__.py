"""What of the model learns, and how clips and texts reach it.

In: a backbone and the settings. Out: towers, which encode batches, from clips or from
features that are kept. Begin with `towers`; `parameters` says what moves at which rate.
"""
