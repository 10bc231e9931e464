"""CLAP models: text and audio in one space.

In: samples or windows, and texts. Out: unit embeddings, and what the model read and met. Begin with
`backbone.Backbone`, what every model here is, and `checkpoint.load_checkpoint`, which opens one by
name, folder or hub id. `mini` is our own, `hf` and `laion` are others'; `frontend` has the mel
scale.
"""
