"""Training: settings, the backbone, Algorithm 1, checkpoints that resume at the very step."""

from phyemu.training.backbone import BackboneResult, train_backbone
from phyemu.training.checkpoint import read_checkpoint, write_checkpoint
from phyemu.training.config import (
    BackboneConfig,
    DataConfig,
    LinkConfig,
    PhyDnnConfig,
    Precision,
    TrainConfig,
)
from phyemu.training.history import EpochRecord
from phyemu.training.phydnn import PhyDnnResult, TrainedPhyDnn, train_phydnn
from phyemu.training.toml_config import from_table, read_toml, to_toml
from phyemu.training.validation import LinkScore, score_images, score_over_link

__all__ = [
    "BackboneConfig",
    "BackboneResult",
    "DataConfig",
    "EpochRecord",
    "LinkConfig",
    "LinkScore",
    "PhyDnnConfig",
    "PhyDnnResult",
    "Precision",
    "TrainConfig",
    "TrainedPhyDnn",
    "from_table",
    "read_checkpoint",
    "read_toml",
    "score_images",
    "score_over_link",
    "to_toml",
    "train_backbone",
    "train_phydnn",
    "write_checkpoint",
]
