"""The AudioSet tagger mn04_as (EfficientAT, Schmid et al. 2023) from its weights file.

The file is not part of this package; `mn04_file` finds or fetches it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from humanclap.clap.mini.tagger import Tagger
from humanclap.errors import CheckpointError
from humanclap.fingerprint import sha256_file

MN04_SHA256 = "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c"
MN04_ADDRESS = "release v0.0.1 of github.com/fschmid56/EfficientAT, file mn04_as_mAP_432.pt"


def load_mn04(path: str | Path, *, sha256: str | None = MN04_SHA256) -> Tagger:
    """The published network from its weights file, in eval mode.

    sha256: what the file must hash to; None accepts any file of the right shape.
    Raises CheckpointError where the file is missing, another one, or does not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; mn04 comes from {MN04_ADDRESS}")
    if sha256 is not None and (found := sha256_file(path)) != sha256:
        raise CheckpointError(
            f"{path}: sha256 is {found[:12]}..., expected {sha256[:12]}...; is this the file "
            f"of {MN04_ADDRESS}? (pass sha256=None to accept another one)"
        )
    network = Tagger()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state, strict=True)
    except Exception as error:
        raise CheckpointError(f"{path}: does not fit mn04 ({error}); download it again") from error
    return network.eval()
