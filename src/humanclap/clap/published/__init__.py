"""Published models: their short names, which files are cached, and the table of them all.

In: a name such as `clap-music`. Out: where its weights come from, their hash and terms. Begin with
`registry`; `listing` is what `humanclap models` prints, `hub_cache` what the hub's cache has.
"""
