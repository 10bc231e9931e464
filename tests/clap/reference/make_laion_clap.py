"""Write laion_clap.npz: embeddings by `laion_clap` 1.1.7, of weights and sounds made from seeds.

Run in an environment of its own, beside nothing of humanclap:

    python3.11 -m venv laion && laion/bin/pip install torch==2.13.0 numpy==1.26.4 \
        transformers==4.57.6 torchlibrosa librosa h5py pandas scikit-learn ftfy braceexpand \
        webdataset regex tqdm progressbar soundfile scipy wget pillow
    laion/bin/pip install --no-deps laion_clap==1.1.7 torchaudio==2.11.0
    rm laion/lib/python3.11/site-packages/torchaudio/lib/*.so  # wants CUDA; not needed here
    cd tests/clap && ../../laion/bin/python reference/make_laion_clap.py

What `laion_clap` imports and these calls never reach is stood in for: torchvision (its `Resize`
is for clips longer than 10 s), and the downloads of tokenizers and of
RoBERTa's weights. What is run is its own: reading the checkpoint, the documented calls
`get_audio_embedding_from_filelist` and `get_text_embedding`, front end, encoders and projections.
"""

from __future__ import annotations

import json
import sys
import tempfile
import types
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import soundfile
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from laion_weights import BASE, TEXTS, TINY, laion_weights, sounds  # noqa: E402
from tiny_hf import write_tokenizer  # noqa: E402

MODELS = {
    "tiny": (TINY, False, 11, "HTSAT-tiny"),
    "tiny fused": (TINY, True, 12, "HTSAT-tiny"),
    "base": (BASE, False, 13, "HTSAT-base"),
}
"""Name -> size, fused, seed, and what `laion_clap` calls the audio model."""


def stand_in(tokenizer_folder: Path) -> None:
    """Put something in the place of what is imported and not needed, or would be downloaded."""
    import transformers

    parts = (transformers.RobertaModel, transformers.BertModel, transformers.BartModel)
    assert all(parts)  # imported before torchvision seems to be there
    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms"):
        sys.modules[name] = MagicMock(name=name)
    misc = types.ModuleType("torchvision.ops.misc")
    misc.FrozenBatchNorm2d = torch.nn.BatchNorm2d  # type: ignore[attr-defined]
    sys.modules |= {"torchvision.ops": MagicMock(), "torchvision.ops.misc": misc}
    read = transformers.RobertaTokenizer.from_pretrained
    transformers.RobertaTokenizer.from_pretrained = lambda *_: read(tokenizer_folder)
    transformers.BertTokenizer.from_pretrained = lambda *_: None
    transformers.BartTokenizer.from_pretrained = lambda *_: None
    # the settings of roberta-base, but for two layers instead of twelve and a small vocabulary
    settings = transformers.RobertaConfig(
        vocab_size=TINY.words,
        num_hidden_layers=TINY.text_layers,
        max_position_embeddings=TINY.positions,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    transformers.RobertaModel.from_pretrained = lambda *_: transformers.RobertaModel(settings)


def checkpoint(model: torch.nn.Module, weights: dict[str, np.ndarray], path: Path) -> None:
    """A file as LAION's training writes it; refuses weights that are not just the model's own."""
    learned = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
    own = model.state_dict()
    counted = ("spectrogram_extractor", "logmel_extractor", "attn_mask", "relative_position_index")
    missing = {name for name in own if not any(part in name for part in counted)} - set(learned)
    if missing or set(learned) - set(own):
        raise SystemExit(f"missing {sorted(missing)}; unknown {sorted(set(learned) - set(own))}")
    whole = {f"module.{name}": learned.get(name, own[name]) for name in own}
    whole["module.text_branch.embeddings.position_ids"] = torch.arange(TINY.positions)[None]
    torch.save({"epoch": 1, "state_dict": whole}, path)


def main() -> None:
    """Make the embeddings of every model and write them all beside this script."""
    results: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = write_tokenizer(folder)
        stand_in(folder)
        import laion_clap

        files = []
        for number, samples in enumerate(sounds().values()):
            files.append(str(folder / f"{number}.wav"))
            soundfile.write(files[-1], samples, 48_000, subtype="PCM_16")
        for title, (size, fused, seed, audio_model) in MODELS.items():
            clap = laion_clap.CLAP_Module(enable_fusion=fused, device="cpu", amodel=audio_model)
            checkpoint(clap.model, laion_weights(size, fused=fused, seed=seed), folder / "one.pt")
            clap.load_ckpt(str(folder / "one.pt"), verbose=False)
            with torch.no_grad():
                results[f"{title}: sounds"] = clap.get_audio_embedding_from_filelist(files)
                results[f"{title}: texts"] = clap.get_text_embedding(list(TEXTS))
        tokens = [row[row != 1].tolist() for row in clap.tokenizer(list(TEXTS))["input_ids"]]
    results["tokens"] = np.array(json.dumps(tokens))
    np.savez_compressed(HERE / "laion_clap.npz", **results)
    print(f"{words} words;", {name: value.shape for name, value in results.items()})


if __name__ == "__main__":
    main()
