"""Against a stand-in for pynvml that behaves as NVIDIA documents it; the real one where it is."""

from types import SimpleNamespace

import pytest

from phyemu.errors import MeterError
from phyemu.metering import nvml, open_meter
from phyemu.metering.nvml import NvmlMeter


class NvmlError(Exception):
    """pynvml's: `value` is the code, and the text is NVML's."""

    def __init__(self, value: int, text: str) -> None:
        super().__init__(text)
        self.value = value


class FakeNvml:
    """One GPU that draws `watts`, and counts millijoules if it `counts`."""

    NVMLError = NvmlError

    def __init__(self, *, counts: bool = True, watts: float = 60.0) -> None:
        self.counts = counts
        self.watts = watts
        self.energy_mj = 5_000_000
        self.opened = 0
        self.asked: list[str] = []
        self.broken = False

    def nvmlInit(self) -> None:
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"gpu {index}"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self.asked.append(uuid)
        if not uuid.startswith("GPU-"):
            raise NvmlError(6, "Not Found")
        return uuid

    def nvmlDeviceGetName(self, handle: str) -> str:
        return "Quadro RTX 8000"

    def _check(self) -> None:
        if not self.opened:
            raise NvmlError(1, "Uninitialized")
        if self.broken:
            raise NvmlError(15, "GPU is lost")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        self._check()
        if not self.counts:
            raise NvmlError(3, "Not Supported")
        return self.energy_mj

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        self._check()
        return round(1e3 * self.watts)


def test_a_gpu_that_counts_is_read_twice() -> None:
    fake = FakeNvml()
    meter = NvmlMeter(fake)
    assert meter.name == "NVML (Quadro RTX 8000, energy counter)"
    assert not meter.modelled
    with meter.measure() as energy:
        fake.energy_mj += 12_345
    assert energy.energy_j == pytest.approx(12.345)
    assert fake.opened == 0


def test_an_older_gpu_has_its_power_integrated() -> None:
    fake = FakeNvml(counts=False, watts=60.0)
    meter = NvmlMeter(fake)
    assert meter.name == "NVML (Quadro RTX 8000, power)"
    with meter.measure() as energy:
        pass
    assert energy.power_w == pytest.approx(60.0)
    assert energy.energy_j == pytest.approx(60.0 * energy.duration_s)
    assert fake.opened == 0


def test_the_gpu_of_torch_is_found_by_its_uuid() -> None:
    fake = FakeNvml()
    NvmlMeter(fake, uuid="GPU-8a2f")
    assert fake.asked == ["GPU-8a2f"]
    with pytest.raises(MeterError, match="Not Found; it needs a GPU of NVIDIA"):
        NvmlMeter(fake, uuid="MIG-1")
    assert fake.opened == 0


@pytest.mark.parametrize("counts", [True, False])
def test_a_gpu_that_fails_in_the_block_is_an_error(counts: bool) -> None:
    fake = FakeNvml(counts=counts)
    meter = NvmlMeter(fake)
    with pytest.raises(MeterError, match="GPU is lost"):
        with meter.measure():
            fake.broken = True
    assert fake.opened == 0


def test_a_driver_loaded_anew_in_the_block_is_an_error() -> None:
    fake = FakeNvml()
    meter = NvmlMeter(fake)
    with pytest.raises(MeterError, match="went back"):
        with meter.measure():
            fake.energy_mj = 3


def test_an_error_of_the_block_passes_and_closes_nvml() -> None:
    fake = FakeNvml()
    with pytest.raises(KeyError):
        with NvmlMeter(fake).measure():
            raise KeyError
    assert fake.opened == 0


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(nvml, "import_module", missing)
    with pytest.raises(MeterError, match=r"pip install 'phyemu\[nvml\]'"):
        nvml.open_meter()


def test_the_real_library_has_what_is_called_and_its_errors_are_ours() -> None:
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    for name in dir(FakeNvml):
        if name.startswith("nvml"):
            assert callable(getattr(pynvml, name))
    assert issubclass(pynvml.NVMLError, Exception)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        with pytest.raises(MeterError, match=r"NVML: .*nvidia-smi"):
            open_meter("nvml")
    else:
        pynvml.nvmlShutdown()
        assert open_meter("nvml").name.startswith("NVML (")


def test_a_gpu_of_torch_gives_its_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeNvml()
    cuda = SimpleNamespace(
        is_available=lambda: True,
        current_device=lambda: 1,
        get_device_properties=lambda index: SimpleNamespace(uuid=f"aa{index}"),
    )
    monkeypatch.setattr(nvml.torch, "cuda", cuda)
    monkeypatch.setattr(nvml, "import_module", lambda _: fake)
    nvml.open_meter()
    assert fake.asked == ["GPU-aa1"]
