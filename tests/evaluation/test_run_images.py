from pathlib import Path

import pytest
import torch

from phyemu.datasets import ImageSet
from phyemu.errors import ConfigError, DatasetError
from phyemu.evaluation import ExportedPhyDnn, run_test_images


def test_they_are_the_test_images_of_the_run(
    run: Path, phydnn: ExportedPhyDnn, images: ImageSet
) -> None:
    for place in (run, run / "head" / "m4.safetensors"):
        found = run_test_images(place, phydnn)
        assert torch.equal(found.images, images.images)
    assert len(run_test_images(run, phydnn, limit=10)) == 10


def test_images_of_another_shape_are_refused(
    run: Path, phydnn: ExportedPhyDnn, tmp_path: Path
) -> None:
    from PIL import Image

    for split in ("train", "test"):
        for name in ("a", "b"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for index in range(12):
                Image.new("RGB", (32, 32), (index, 9 * index, 5 * index)).save(
                    folder / f"{index}.png"
                )
    with pytest.raises(DatasetError, match="images are"):
        run_test_images(run, phydnn, dataset=f"image-folder:{tmp_path}")


def test_a_folder_that_is_no_run_is_refused(phydnn: ExportedPhyDnn, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run folder"):
        run_test_images(tmp_path, phydnn)
