"""What a plan tells of what was sent."""

from dataclasses import replace
from pathlib import Path

import pytest

from phyemu.batch import PhyDnnChoice, load_plan, phydnn_batch
from phyemu.batch.job_context import load_sent_run
from phyemu.training import preset, train_run
from tests.batch.test_batches import SETTINGS, places


@pytest.fixture(scope="module")
def run_of_two_orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with PhyDNNs of the orders 2 and 4, trained for a moment."""
    config = preset("digits", "awgn:12", seed=1)
    config = replace(
        config,
        data=replace(config.data, limit=60),
        backbone=replace(config.backbone, width=4, epochs=1, batch_size=20),
        phydnn=replace(config.phydnn, orders=(4, 2), epochs=(1, 1), batch_size=20),
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_run(config, folder)
    return folder


def test_the_plan_tells_the_order_of_the_images(run_of_two_orders: Path, tmp_path: Path) -> None:
    choice = PhyDnnChoice(
        run=run_of_two_orders,
        transmitter=1,
        receivers=(2,),
        head_image="tx",
        tail_image="rx",
        order=4,
    )
    made = phydnn_batch(tmp_path / "b", places("90001"), choice, SETTINGS)
    plan = load_plan(tmp_path / "b")
    assert plan == made.plan
    sent = load_sent_run(run_of_two_orders, plan)
    assert (sent.phydnn.order, sent.sent.order, plan.order) == (4, 4, 4)
    assert load_sent_run(run_of_two_orders, None).phydnn.order == 2
