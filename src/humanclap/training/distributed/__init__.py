"""One process or several that train together.

In: what each process has. Out: embeddings gathered and gradients averaged, alike on each. Begin
with `processes`; `watch` tells when one of them is gone.
"""
