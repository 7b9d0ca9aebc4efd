"""Labelled images in memory: digits, CIFAR, image folders; splits, batches, augmentation."""

from .augmentation import Augmentation, augment
from .batches import Batch, num_shuffled_batches, ordered_batches, shuffled_batches
from .dataset import Dataset, ImageSet
from .spec import load_dataset

__all__ = [
    "Augmentation",
    "Batch",
    "Dataset",
    "ImageSet",
    "augment",
    "load_dataset",
    "num_shuffled_batches",
    "ordered_batches",
    "shuffled_batches",
]
