"""A hand-made set of cells, small enough to check by eye."""

from collections.abc import Callable, Mapping

import pytest

from phyemu.comparison import Cell, CellKey, CellKind, CellSet

MakeCell = Callable[..., Cell]


def make_cell(kind: CellKind, figures: Mapping[str, float], **fields: object) -> Cell:
    """Return a cell of CIFAR-10 and ResNet-20 unless told otherwise."""
    names = ("modelled", "engine", "run", "provenance")
    extra = {name: fields.pop(name) for name in names if name in fields}
    key = CellKey(
        kind=kind,
        **{
            "system": "PhyDNN",
            "dataset": "cifar-10",
            "backbone": "resnet20",
            "environment": "awgn-12",
            **fields,
        },
    )
    return Cell(key=key, figures=figures, fingerprint="0" * 64, **extra)


def accuracy(value: float, **fields: object) -> Cell:
    """Return an accuracy cell of a PhyDNN, with the payload of CIFAR's 1024 symbols."""
    order = int(str(fields.setdefault("order", 16)))
    payload = 64 * 1024 * (order.bit_length() - 1) / 8
    figures = {"accuracy": value, "payload_bytes": payload, "num_images": 10_000}
    backbone_accuracy = fields.pop("backbone_accuracy", None)
    if backbone_accuracy is not None:
        figures["backbone_accuracy"] = float(str(backbone_accuracy))
    return make_cell(CellKind.ACCURACY, figures, **{"variant": "paper", **fields})


def cost(
    head_ms: float,
    communication_ms: float,
    tail_ms: float,
    payload_kb: float,
    overhead_bytes: float,
    head_mj: float,
    transmit_mj: float,
    **fields: object,
) -> Cell:
    """Return a cost cell from the numbers of a bar."""
    figures = {
        "head_s": head_ms / 1e3,
        "communication_s": communication_ms / 1e3,
        "tail_s": tail_ms / 1e3,
        "latency_s": (head_ms + communication_ms + tail_ms) / 1e3,
        "payload_bytes": payload_kb * 1024,
        "overhead_bytes": overhead_bytes,
        "sent_bytes": payload_kb * 1024 + overhead_bytes,
        "head_j": head_mj / 1e3,
        "transmit_j": transmit_mj / 1e3,
        "energy_j": (head_mj + transmit_mj) / 1e3,
        "head_parameters": 42_500,
        "head_macs": 43e6,
    }
    return make_cell(CellKind.COST, figures, **fields)


@pytest.fixture(scope="session")
def cells() -> CellSet:
    """Return accuracies over two seeds and a sweep, and costs of four systems in the office."""
    found = []
    for seed, shift in ((0, -0.5), (1, 0.5)):
        for order, value in ((16, 83.0), (8, 82.0), (4, 80.0)):
            found.append(
                accuracy(value + shift, order=order, seed=seed, backbone_accuracy=87.0 + shift)
            )
        for snr_db, error in ((4, 21.0), (8, 18.5), (20, 16.0)):
            found.append(accuracy(100 - error + shift, seed=seed, environment=f"awgn-{snr_db}"))
        for environment, value in (("office-los", 79.0), ("office-nlos", 75.0)):
            found.append(accuracy(value + shift, order=4, seed=seed, environment=environment))
        found.append(
            make_cell(
                CellKind.ACCURACY,
                {"accuracy": 87.0 + shift},
                system="edge-only",
                environment="none",
                seed=seed,
            )
        )
    phydnn = {"variant": "paper", "order": 4, "modelled": frozenset({"head_s", "latency_s"})}
    stack = {"protocol": "tcp", "engine": "model"}
    for environment, factor in (("office-los", 1.0), ("office-nlos", 1.1)):
        found += [
            cost(10, 10, 20, 16, 256, 40, 20, environment=environment, **phydnn),
            cost(
                9, 170 * factor, 21, 256, 46_080 * factor, 36, 340 * factor,
                system="BF-1", environment=environment, **stack,
            ),
            cost(
                9, 330 * factor, 21, 512, 92_928 * factor, 36, 660 * factor,
                system="BF-2", environment=environment, **stack,
            ),
            cost(
                9, 2900 * factor, 21, 4096, 700_000 * factor, 36, 5800 * factor,
                system="SC", environment=environment, **stack,
            ),
        ]  # fmt: skip
    return CellSet(found)
