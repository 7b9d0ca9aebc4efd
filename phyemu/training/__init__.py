"""Training: settings, the backbone, Algorithm 1, checkpoints that resume at the very step."""

from phyemu.toml_config import from_table, read_toml, to_table, to_toml
from phyemu.training.backbone import train_backbone
from phyemu.training.backbone_result import (
    BackboneResult,
    backbone_file,
    save_backbone,
    stored_architecture,
    stored_normalisation,
)
from phyemu.training.checkpoint import read_checkpoint, write_checkpoint
from phyemu.training.config import (
    BackboneConfig,
    DataConfig,
    LinkConfig,
    Precision,
    TrainConfig,
)
from phyemu.training.distributed import ALONE, Processes, joined
from phyemu.training.history import EpochRecord
from phyemu.training.multi_hop import MultiHopResult, TrainedMultiHop, train_multi_hop
from phyemu.training.multi_hop_run import export_multi_hop
from phyemu.training.multi_hop_validation import MultiHopScore, score_over_links
from phyemu.training.normalisation import chosen_normalisation
from phyemu.training.phydnn import train_phydnn
from phyemu.training.phydnn_config import PhyDnnConfig
from phyemu.training.phydnn_result import PhyDnnResult, TrainedPhyDnn
from phyemu.training.presets import Preset, named_preset, preset
from phyemu.training.resolve import (
    backbone_depth,
    overlay,
    pick_device,
    resolve_config,
    settle_stages,
)
from phyemu.training.run import (
    StageReport,
    TrainReport,
    export_phydnn,
    read_run_config,
    train_run,
)
from phyemu.training.run_data import RunData, read_run_data
from phyemu.training.validation import LinkScore, score_images, score_over_link

__all__ = [
    "ALONE",
    "BackboneConfig",
    "BackboneResult",
    "DataConfig",
    "EpochRecord",
    "LinkConfig",
    "LinkScore",
    "MultiHopResult",
    "MultiHopScore",
    "PhyDnnConfig",
    "PhyDnnResult",
    "Precision",
    "Preset",
    "Processes",
    "RunData",
    "StageReport",
    "TrainConfig",
    "TrainReport",
    "TrainedMultiHop",
    "TrainedPhyDnn",
    "backbone_depth",
    "backbone_file",
    "chosen_normalisation",
    "export_multi_hop",
    "export_phydnn",
    "from_table",
    "joined",
    "named_preset",
    "overlay",
    "pick_device",
    "preset",
    "read_checkpoint",
    "read_run_config",
    "read_run_data",
    "read_toml",
    "resolve_config",
    "save_backbone",
    "score_images",
    "score_over_link",
    "score_over_links",
    "settle_stages",
    "stored_architecture",
    "stored_normalisation",
    "to_table",
    "to_toml",
    "train_backbone",
    "train_multi_hop",
    "train_phydnn",
    "train_run",
    "write_checkpoint",
]
