"""Train a CLAP on human ratings."""
