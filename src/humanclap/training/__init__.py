"""Train a CLAP on human ratings and choices.

In: tables of targets, clips and `settings.TrainingSettings`. Out: a run folder with a log, a state
to go on from, and a checkpoint with its card. Begin with `run.TrainingRequest`; `data` is what
trains, `objective` the losses, `loop` the steps, `model` what learns, `outputs` what is written.
"""
