"""The embedded CLAP, and its sibling over the mn04 checkpoint.

In: windows of 10 s, and texts. Out: embeddings of both. Begin with `model.MiniCLAP`, which joins
the tagger (sounds), `text` (captions) and `projection` (both into one space); `storage` keeps the
weights as the wheel ships them.
"""

from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.model import MiniCLAP
from humanclap.clap.mini.over_mn04 import MiniMN04CLAP

__all__ = ["MiniCLAP", "MiniConfig", "MiniMN04CLAP"]
