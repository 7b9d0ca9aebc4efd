"""What devices/jetson-orin-nano.toml derives from the paper, computed again from its figures."""

import math
import statistics
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from phyemu.dnn import ResNetConfig, resnet, split_model
from phyemu.metering import Work, count_macs, count_parameters, count_work, load_device_profile

BATCH = (64, 3, 32, 32)

# The paper, Sec. II and IV-C; times in ms, energies in mJ, of batches of 64 images.
FULL_STACK_MS, COMMUNICATION_SHARE = 251.15, 0.8893  # of BF-2, as docs/metering.md argues
PHYDNN_MS, DT_JSCC_MS = 42.11, 182.53
TIMES_COMMUNICATION = statistics.fmean((16.75, 17.56))
PHYDNN_KB, DT_JSCC_KB = 16, 41.7
TIMES_PAYLOAD_BF1, TIMES_PAYLOAD_BF2 = 16, 32
TIMES_LATENCY_BF1, TIMES_LATENCY_BF2 = 2.3, 3.8  # means over three networks and two places
BF2_MS = COMMUNICATION_SHARE * FULL_STACK_MS
BF1_MS = BF2_MS * TIMES_PAYLOAD_BF1 / TIMES_PAYLOAD_BF2
TIMES_HEAD, TIMES_HEAD_ENERGY = 7, 8
HEAD_DIFFERENCE_MJ, SHARE_OF_BF1 = 20.6, 0.0516
TIMES_ENERGY = 1 + statistics.fmean((1.3535, 1.4289))
TIMES_COMMUNICATION_ENERGY = statistics.fmean((18.52, 19.42))

OPERATION_S = 10e-6  # assumed


class Residual(nn.Module):
    """The residual block of DT-JSCC's authors."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm2d(maps),
            nn.ReLU(),
            nn.Conv2d(maps, maps, 3, padding=1, bias=False),
            nn.BatchNorm2d(maps),
            nn.ReLU(),
            nn.Conv2d(maps, maps, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        return x + self.path(x)


def dt_jscc_encoder() -> nn.Module:
    """Return DT-JSCC's encoder: 4 convolutions and 2 residual blocks, 512 maps at the end."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 64), (64, 128), (128, 256), (256, 512)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        if inputs > 3:
            layers.append(nn.MaxPool2d(2))
        if outputs in (128, 512):
            layers.append(Residual(outputs))
    return nn.Sequential(*layers)


def head_of(depth: int) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    head, _ = split_model(
        resnet(ResNetConfig(depth=depth, num_classes=10), generator=generator), "layer1"
    )
    return head


@cache
def work_of(network: str) -> Work:
    """Return the work of a head ("20", "56", "110") or of DT-JSCC's encoder for a batch."""
    module = dt_jscc_encoder() if network == "dt-jscc" else head_of(int(network))
    return count_work(module.to("meta"), BATCH)  # shapes without numbers: counted alike


def seconds(network: str) -> float:
    return load_device_profile("jetson-orin-nano").compute.seconds(work_of(network))


@pytest.fixture(scope="module")
def times_s() -> dict[str, float]:
    """Return what the paper's figures say of head, tail and DT-JSCC's encoder [s]."""
    communication = BF1_MS / TIMES_COMMUNICATION
    both = PHYDNN_MS - communication
    rest = DT_JSCC_MS - communication * DT_JSCC_KB / PHYDNN_KB
    head = (rest - both) / (TIMES_HEAD - 1)
    return {
        "communication": communication / 1e3,
        "head": head / 1e3,
        "tail": (both - head) / 1e3,
        "encoder": TIMES_HEAD * head / 1e3,
    }


def test_times_are_those_of_the_file(times_s: dict[str, float]) -> None:
    found = {name: round(1e3 * value, 2) for name, value in times_s.items()}
    assert found == {"communication": 6.51, "head": 21.66, "tail": 13.94, "encoder": 151.62}


def test_the_full_stack_time_is_of_bf2_and_not_of_bf1(times_s: dict[str, float]) -> None:
    ratio = FULL_STACK_MS / PHYDNN_MS
    # The other place may have 4.8 % less communication; no other network is below 1.
    elsewhere = (FULL_STACK_MS - BF2_MS * (1 - 1 / 1.048)) / PHYDNN_MS
    least_mean = (ratio + elsewhere + 4) / 6
    assert TIMES_LATENCY_BF1 < least_mean < TIMES_LATENCY_BF2
    # 1024 symbols an image at half the paper's 20 MHz.
    air_s = 64 * 1024 / 10e6
    assert times_s["communication"] == pytest.approx(air_s, rel=0.01)


def test_networks_are_those_of_table_3() -> None:
    assert count_parameters(head_of(56)) == pytest.approx(42.5e3, abs=50)
    # 4.36 M with its embeddings, of which the text does not give the number.
    assert count_parameters(dt_jscc_encoder()) == pytest.approx(4.36e6, rel=0.01)
    macs = count_macs(dt_jscc_encoder(), (1, 3, 32, 32))
    assert macs == pytest.approx(618.4e6 / 2, rel=0.01)
    assert macs / count_macs(head_of(56), (1, 3, 32, 32)) == pytest.approx(7.27, abs=0.01)


def test_both_networks_run_at_one_rate_and_it_is_the_profiles(times_s: dict[str, float]) -> None:
    profile = load_device_profile("jetson-orin-nano")
    rates = []
    for network, taken_s in (("56", times_s["head"]), ("dt-jscc", times_s["encoder"])):
        work = work_of(network)
        rates.append(work.macs / (taken_s - work.num_operations * OPERATION_S))
    assert rates[0] == pytest.approx(rates[1], rel=0.01)
    assert profile.compute.convolution.macs_per_s == pytest.approx(
        math.sqrt(math.prod(rates)), rel=1e-3
    )
    assert profile.compute.convolution.operation_s == OPERATION_S
    # Of what the data sheet allows: 1024 multiply-adds at 625 MHz.
    assert 0.2 < profile.compute.convolution.macs_per_s / (1024 * 625e6) < 0.25


def test_the_profile_gives_the_papers_times_back(times_s: dict[str, float]) -> None:
    assert seconds("56") == pytest.approx(times_s["head"], rel=0.01)
    assert seconds("dt-jscc") == pytest.approx(times_s["encoder"], rel=0.01)


def test_a_figure_that_was_not_used_is_met() -> None:
    """PhyDNN's head takes "only around 1 millisecond more" than BF-1's with its one map."""
    profile = load_device_profile("jetson-orin-nano")
    bottleneck = head_of(56)
    narrow = bottleneck.get_submodule("layer1.8")
    narrow.conv2, narrow.bn2 = nn.Conv2d(16, 1, 3, padding=1, bias=False), nn.BatchNorm2d(1)
    embeddings = torch.zeros(16, 4)

    def phydnn(images: Tensor) -> Tensor:
        slices = head_of_phydnn(images).flatten(2).transpose(1, 2)
        return (slices @ embeddings).argmax(-1)

    head_of_phydnn = head_of(56)
    extra_s = profile.latency_s(phydnn, BATCH) - profile.latency_s(bottleneck, BATCH)
    assert 1e3 * extra_s == pytest.approx(1.0, abs=0.5)


def test_powers_are_those_of_the_papers_energies(times_s: dict[str, float]) -> None:
    profile = load_device_profile("jetson-orin-nano")
    bf1 = HEAD_DIFFERENCE_MJ / SHARE_OF_BF1
    phydnn = bf1 / TIMES_ENERGY
    sent_bf1 = (bf1 - phydnn + HEAD_DIFFERENCE_MJ) / (1 - 1 / TIMES_COMMUNICATION_ENERGY)
    sent = sent_bf1 / TIMES_COMMUNICATION_ENERGY
    head = phydnn - sent
    assert (bf1, phydnn, sent_bf1, sent, head) == pytest.approx(
        (399.2, 166.9, 267.0, 14.1, 152.9), abs=0.1
    )
    powers = [
        sent_bf1 / BF1_MS,
        sent / 1e3 / times_s["communication"],
    ]
    assert powers == pytest.approx([2.39, 2.16], abs=0.01)
    assert profile.powers.transmit_w == pytest.approx(math.sqrt(math.prod(powers)), rel=0.01)
    # Energies are means over three networks, and Fig. 11 is of ResNet-56.
    heads_s = {depth: seconds(str(depth)) for depth in (20, 56, 110)}
    mean_s = statistics.fmean(heads_s.values())
    encoder = TIMES_HEAD_ENERGY * head * heads_s[56] / mean_s
    computing = [head / 1e3 / mean_s, encoder / 1e3 / times_s["encoder"]]
    assert computing == pytest.approx([6.39, 7.27], abs=0.01)
    assert profile.powers.compute_w == pytest.approx(statistics.fmean(computing), rel=0.01)
    # Another figure that was not used: DT-JSCC needs 7.3 times the energy of PhyDNN.
    whole = encoder + sent * DT_JSCC_KB / PHYDNN_KB
    assert whole / (head * heads_s[56] / mean_s + sent) == pytest.approx(7.3, rel=0.05)


def test_uncertainty_covers_what_around_may_mean(times_s: dict[str, float]) -> None:
    profile = load_device_profile("jetson-orin-nano")
    head, six = times_s["head"], TIMES_HEAD - 1
    for times in (6.5, 7.5):
        assert abs(head * six / (times - 1) / head - 1) < profile.uncertainty.latency
