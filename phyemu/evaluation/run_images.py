"""The images that a run is scored on."""

from pathlib import Path

from phyemu.datasets import ImageSet, load_dataset
from phyemu.errors import DatasetError

from .exported import ExportedPhyDnn
from .exported_chain import ExportedChain

__all__ = ["run_test_images"]


def run_test_images(
    run: Path,
    phydnn: ExportedPhyDnn | ExportedChain,
    *,
    dataset: str | None = None,
    limit: int | None = None,
) -> ImageSet:
    """Return the test images of the run's dataset, or of another.

    Args:
        run: Run folder, or one of the files in its head/ or tail/.
        phydnn: Of the run; the images must fit it.
        dataset: Spec of another dataset.
        limit: At most so many images; None: as many as the run was limited to.

    Raises:
        ConfigError: The run holds no settings.
        DatasetError: The images cannot be read, or do not fit.
    """
    # Who only sends or receives loads this package, too, and no training with it.
    from phyemu.training import read_run_data

    trained = read_run_data(run.parent.parent if run.is_file() else run)
    data = trained.data
    loaded = load_dataset(
        dataset or data.dataset,
        seed=trained.seed,
        validation_fraction=data.validation_fraction,
        limit=limit or (data.limit if dataset is None else None),
    )
    card = phydnn.tail.card
    if loaded.image_shape != tuple(card.image_shape):
        raise DatasetError(
            f"{loaded.name}: images are {loaded.image_shape}, but {run} was trained on "
            f"{tuple(card.image_shape)}"
        )
    if loaded.num_classes != len(card.class_names):
        raise DatasetError(
            f"{loaded.name}: has {loaded.num_classes} classes, but {run} knows "
            f"{len(card.class_names)}"
        )
    return loaded.test
