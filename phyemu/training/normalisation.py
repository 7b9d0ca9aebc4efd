"""What images are normalised with before a network: settings, stored weights, or the images."""

from phyemu.datasets import Dataset
from phyemu.dnn import Normalise
from phyemu.errors import CheckpointError, ConfigError

from .config import DataConfig

__all__ = ["chosen_normalisation"]


def chosen_normalisation(
    dataset: Dataset, data: DataConfig, stored: Normalise | None = None
) -> Normalise:
    """Return what the settings say, else what the weights were trained with, else the images' own.

    Args:
        dataset: Its training images' mean and deviation come last.
        data: `mean` and `std` come first.
        stored: What the given weights were trained with, where that is known.

    Raises:
        ConfigError: The settings are for another number of channels.
        CheckpointError: The stored one is, and the settings say nothing.
    """
    channels = dataset.image_shape[0]
    if data.mean is not None and data.std is not None:
        if len(data.mean) != channels:
            raise ConfigError(
                f"[data] mean and std hold {len(data.mean)} values, but {dataset.name} has "
                f"{channels} channels; give one a channel"
            )
        return Normalise(data.mean, data.std)
    if stored is None:
        return Normalise(dataset.mean, dataset.std)
    if len(stored.mean) != channels:
        raise CheckpointError(
            f"the weights were trained on {len(stored.mean)} channels, but {dataset.name} has "
            f"{channels}; say what to normalise with: [data] mean and std"
        )
    return stored
