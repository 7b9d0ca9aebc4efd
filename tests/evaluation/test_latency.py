import pytest

from phyemu.datasets import ImageSet
from phyemu.errors import ConfigError
from phyemu.evaluation import ExportedPhyDnn, encode_images, image_waveform, measure_latency


def test_the_time_on_the_air_is_that_of_the_frames(
    phydnn: ExportedPhyDnn, images: ImageSet
) -> None:
    found = measure_latency(phydnn, images, num_images=60, repetitions=1)
    sent = encode_images(phydnn, images)
    _, placements = image_waveform(
        sent, phydnn.constellation, phydnn.frame_format, amplitude=0.5, gap_samples=100
    )
    on_air = sum(place.sample_count for place in placements)
    assert found.air_s == pytest.approx(on_air / phydnn.frame_format.sample_rate_hz)


def test_every_stage_takes_time_and_the_sum_is_the_total(
    phydnn: ExportedPhyDnn, images: ImageSet
) -> None:
    found = measure_latency(phydnn, images, num_images=1, repetitions=1)
    stages = [found.head_s, found.modulation_s, found.air_s, found.receiver_s, found.tail_s]
    assert min(stages) > 0
    assert found.total_s == pytest.approx(sum(stages))
    assert found.to_dict()["total_s"] == found.total_s
    assert found.line().startswith("latency of 1 image: ")


def test_nothing_to_time_is_refused(phydnn: ExportedPhyDnn, images: ImageSet) -> None:
    with pytest.raises(ConfigError, match="nothing to time"):
        measure_latency(phydnn, images, num_images=0)
