"""The embedded CLAP and its sibling over the mn04 checkpoint."""

from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.model import MiniCLAP
from humanclap.clap.mini.over_mn04 import MiniMN04CLAP

__all__ = ["MiniCLAP", "MiniConfig", "MiniMN04CLAP"]
