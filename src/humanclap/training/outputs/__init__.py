"""What a run writes beside its weights: the model card, and rows for TensorBoard or W&B.

In: what a run found. Out: files. Begin with `card`.
"""
