"""Names of networks, datasets and systems for people."""

from .config import PHYDNN

__all__ = ["backbone_label", "by_depth", "dataset_label", "phydnn_label"]


def backbone_label(name: str) -> str:
    """Return a backbone's name for people.

    >>> backbone_label("resnet20")
    'ResNet-20'
    """
    depth = name.removeprefix("resnet")
    return f"ResNet-{depth}" if depth.isdecimal() else name


def by_depth(backbone: str) -> tuple[int, str]:
    """Return what backbones are sorted by: ResNet-56 comes before ResNet-110."""
    return len(backbone), backbone


def dataset_label(name: str) -> str:
    """Return a dataset's name for people."""
    return name.upper() if name.startswith("cifar") else name


def phydnn_label(variant: str) -> str:
    """Return a PhyDNN's name for people."""
    return f"{PHYDNN}, {variant} settings" if variant else PHYDNN
