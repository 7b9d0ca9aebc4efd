import json
from pathlib import Path

from phyemu.training import EpochRecord
from phyemu.training.history import TensorBoardLog


def record(order: int | None) -> EpochRecord:
    return EpochRecord(
        task="phydnn",
        epoch=1,
        step=4,
        order=order,
        losses={"total": 0.1 + 0.2},
        settings={"beta": 1e-4},
        validation_loss=1.5,
        validation_accuracy=90.0,
        validation_ser=None if order is None else 0.25,
    )


def test_a_record_survives_json_bit_for_bit() -> None:
    text = json.dumps(record(8).to_dict())
    assert EpochRecord.from_dict(json.loads(text)) == record(8)


def test_curves_hold_every_loss_and_setting(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TensorBoardLog(tmp_path, task="phydnn", step=0)
    log.epoch(record(8))
    log.close()
    events = EventAccumulator(str(tmp_path / "phydnn"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"phydnn/loss/total", "phydnn/beta", "phydnn/order", "phydnn/validation/ser"} <= tags
    assert events.Scalars("phydnn/validation/accuracy")[0].value == 90.0


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    log = TensorBoardLog(None, task="phydnn", step=0)
    log.epoch(record(None))
    log.close()
    assert not list(tmp_path.iterdir())
