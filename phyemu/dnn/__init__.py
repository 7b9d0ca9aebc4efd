"""Physical-layer DNNs: backbones, split, embedding, losses, compression, export."""

from .architecture import build_architecture, describe_architecture
from .artefact import (
    ArtefactInfo,
    PhyDnnHead,
    PhyDnnTail,
    export_head,
    export_tail,
    load_head,
    load_tail,
)
from .assignment import assign_to_constellation, assignment_cost
from .card import ArtefactCard, Part, read_card
from .clustering import start_embeddings
from .compression import Removal, carry_optimizer, least_used, remove_embeddings, usage_counts
from .device_card import DeviceCard, DeviceFormat, read_device_card
from .device_export import DeviceArtefact, export_for_device, load_for_device
from .embedding import Embedding, Lookup, Score
from .link import Link, noiseless_link
from .losses import (
    LossTerms,
    LossWeights,
    binding_loss,
    commitment_loss,
    distillation_loss,
    entropy_loss,
    task_loss,
    total_loss,
    variational_loss,
)
from .modes import captured_output, evaluating, untracked_batch_norm
from .normalise import Normalise
from .phydnn import PhyDnn, PhyDnnOutput
from .pretrained import load_pretrained, pretrained_resnet
from .resnet import ResNet, ResNetConfig, resnet
from .sampling import gumbel_softmax, one_hot_argmax
from .slices import SliceLayout, from_slices, to_slices
from .split import split_model

__all__ = [
    "ArtefactCard",
    "ArtefactInfo",
    "DeviceArtefact",
    "DeviceCard",
    "DeviceFormat",
    "Embedding",
    "Link",
    "Lookup",
    "LossTerms",
    "LossWeights",
    "Normalise",
    "Part",
    "PhyDnn",
    "PhyDnnHead",
    "PhyDnnOutput",
    "PhyDnnTail",
    "Removal",
    "ResNet",
    "ResNetConfig",
    "Score",
    "SliceLayout",
    "assign_to_constellation",
    "assignment_cost",
    "binding_loss",
    "build_architecture",
    "captured_output",
    "carry_optimizer",
    "commitment_loss",
    "describe_architecture",
    "distillation_loss",
    "entropy_loss",
    "evaluating",
    "export_for_device",
    "export_head",
    "export_tail",
    "from_slices",
    "gumbel_softmax",
    "least_used",
    "load_for_device",
    "load_head",
    "load_pretrained",
    "load_tail",
    "noiseless_link",
    "one_hot_argmax",
    "pretrained_resnet",
    "read_card",
    "read_device_card",
    "remove_embeddings",
    "resnet",
    "split_model",
    "start_embeddings",
    "task_loss",
    "to_slices",
    "total_loss",
    "untracked_batch_norm",
    "usage_counts",
    "variational_loss",
]
