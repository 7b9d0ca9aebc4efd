"""One link of Colosseum's channel emulator, in software: `MchemChannel`."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from phyemu.channel import (
    ChannelDraw,
    ChannelRealisation,
    Distribution,
    Impairments,
    ImpulseResponse,
    Interpolation,
    MeasuredChannel,
    NoiseLevel,
)
from phyemu.channel.model import check_steps
from phyemu.channel.realisation import FunctionRealisation
from phyemu.colosseum.limits import MAX_TAPS, MIN_GAIN_DB
from phyemu.colosseum.path_loss import received_cn0_dbhz
from phyemu.colosseum.scenario import Scenario, response_on_grid
from phyemu.errors import ConfigError, ScenarioError
from phyemu.units import db_to_amplitude, power_to_db

__all__ = ["MchemChannel", "TapHardware"]

# Steps whose times are computed may fall short of a switch by rounding.
_TIME_SLACK = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class TapHardware:
    """What the emulator's filter does to taps; each property can be switched off by itself.

    Attributes:
        on_grid: Delays are multiples of 10 ns; False: they are kept.
        bits: Resolution of I and Q, which are saturated to [-1, 1), 4 to 24; None: neither rounded
            nor saturated. Colosseum publishes none, 16 is our assumption.
        least_gain_db: A weaker tap is 0 [dB]; -infinity: none is.
        max_taps: Taps of a link at any instant; None: any number.
    """

    on_grid: bool = True
    bits: int | None = 16
    least_gain_db: float = MIN_GAIN_DB
    max_taps: int | None = MAX_TAPS

    def __post_init__(self) -> None:
        """Refuse what no filter has."""
        if self.bits is not None and not 4 <= self.bits <= 24:
            raise ConfigError(f"bits of a tap must be in 4..24, or None; got {self.bits}")
        if not self.least_gain_db <= 0:
            raise ConfigError(f"least_gain_db must be at most 0, got {self.least_gain_db}")
        if self.max_taps is not None and self.max_taps < 1:
            raise ConfigError(f"max_taps must be at least 1, or None; got {self.max_taps}")

    @classmethod
    def ideal(cls) -> "TapHardware":
        """Return a filter that plays taps as the scenario has them."""
        return cls(on_grid=False, bits=None, least_gain_db=-math.inf, max_taps=None)

    def hold(self, response: ImpulseResponse, *, name: str) -> ImpulseResponse | None:
        """Return a link's taps as the filter holds them; None where it holds none.

        Args:
            response: Gains (time, path).
            name: Of the link, for the error.

        Raises:
            ScenarioError: There are more taps at an instant than `max_taps`.
        """
        moved = response_on_grid(response) if self.on_grid else response
        weak = moved.gains.abs() < db_to_amplitude(self.least_gain_db) * (1 - 1e-6)
        held = torch.where(weak, torch.zeros_like(moved.gains), moved.gains)
        if self.bits is not None:
            scale = float(1 << (self.bits - 1))
            parts = torch.view_as_real(held.to(torch.complex128))
            rounded = torch.round(parts.clamp(-1.0, 1.0) * scale) / scale
            held = torch.view_as_complex(rounded).to(torch.complex64)
        used = (held != 0).any(dim=0)
        if not bool(used.any()):
            return None
        most = int((held != 0).sum(dim=1).max())
        if self.max_taps is not None and most > self.max_taps:
            raise ScenarioError(
                f"{name}: {most} taps at once, the emulator has {self.max_taps}; make the scenario "
                "again with `phyemu colosseum scenario make`"
            )
        return ImpulseResponse(
            held[:, used].contiguous(), moved.delays_s[used], response.interval_s
        )


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class MchemChannel:
    """The taps of a link as the emulator's filter holds them, played from the scenario's start.

    They switch at every step of the scenario and are held between two (`Interpolation.HOLD`); what
    else the filter does to them is in `TapHardware`. As a channel model its mean path powers sum to
    one: a draw of a batch starts each link at a random step. `gain_db` is what the emulator itself
    puts on the link.

    Attributes:
        name: Short name, such as "urban-80db 1>2".
        taps: Gains (time, path) as the filter holds them.
        repeats: Whether the scenario starts over at its end; else the last taps are held.
        noise: Noise of the link; by default none, the emulator adds it at the receiver.
    """

    name: str
    taps: ImpulseResponse
    repeats: bool
    noise: NoiseLevel

    def __post_init__(self) -> None:
        """Refuse a link without power."""
        if self.taps.gains.ndim != 2:
            raise ScenarioError(
                f"{self.name}: taps must be (time, path), got {tuple(self.taps.gains.shape)}"
            )
        if not float(self.taps.powers().sum()) > 0:
            raise ScenarioError(f"{self.name}: every tap is below the emulator's range")

    @classmethod
    def of_link(
        cls,
        scenario: Scenario,
        link: tuple[int, int],
        *,
        snr_db: float = math.inf,
        hardware: TapHardware | None = None,
    ) -> "MchemChannel":
        """Return a link of a scenario as the emulator would hold it.

        Args:
            scenario: What it plays.
            link: (transmitter, receiver).
            snr_db: SNR of the link [dB]; infinity: no noise.
            hardware: What the filter does to the taps; None: what Colosseum's does.

        Raises:
            ScenarioError: The scenario lacks the link, or the emulator cannot hold it.
            ConfigError: `snr_db` is out of range.
        """
        response = scenario.links.get(link)
        if response is None:
            raise ScenarioError(f"scenario {scenario.name}: has no link {link[0]}>{link[1]}")
        name = f"{scenario.name} {link[0]}>{link[1]}"
        taps = (hardware or TapHardware()).hold(response, name=name)
        if taps is None:
            raise ScenarioError(f"{name}: every tap is below the emulator's range")
        return cls(
            name=name,
            taps=taps,
            repeats=scenario.repeats,
            noise=NoiseLevel.of_snr_db(snr_db),
        )

    @property
    def gain_db(self) -> float:
        """Return the mean power of the taps [dB]."""
        return power_to_db(float(self.taps.powers().sum()))

    def physical_gain_db(self, constant_gain_db: float) -> float:
        """Return the mean path gain that the link stands for, without the constant gain [dB]."""
        return self.gain_db - constant_gain_db

    def with_budget(
        self, transmit_power_dbm: float, *, noise_figure_db: float, constant_gain_db: float
    ) -> "MchemChannel":
        """Return the link with the carrier-to-noise density of a link budget.

        Args:
            transmit_power_dbm: Power of the transmitter [dBm].
            noise_figure_db: Of the receiver [dB], at 290 K.
            constant_gain_db: That of the scenario, which its taps hold on top of the path gain.

        Raises:
            ConfigError: A number is not finite.
        """
        for value in (transmit_power_dbm, noise_figure_db):
            if not math.isfinite(value):
                raise ConfigError(f"a link budget needs finite numbers of dB, got {value}")
        cn0_dbhz = received_cn0_dbhz(
            transmit_power_dbm,
            self.physical_gain_db(constant_gain_db),
            noise_figure_db=noise_figure_db,
        )
        return replace(self, noise=NoiseLevel(cn0_dbhz=Distribution.constant(cn0_dbhz)))

    def _unit_gains(self) -> Tensor:
        return self.taps.gains / self.taps.powers().sum().sqrt().to(torch.float32)

    def _steps(self, times_s: Tensor) -> Tensor:
        """Return the step that is played at `times_s`."""
        steps = torch.floor(times_s / self.taps.interval_s + _TIME_SLACK).long().clamp(min=0)
        if self.repeats:
            return steps % self.taps.num_steps
        return steps.clamp(max=self.taps.num_steps - 1)

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` stretches of the scenario, each from a random step."""
        check_steps(batch_size, num_steps, interval_s)
        device = generator.device
        snr_db = self.noise.draw_snr_db(
            batch_size, symbol_rate_hz=symbol_rate_hz, generator=generator
        )
        start = torch.randint(
            0, self.taps.num_steps, (batch_size, 1), generator=generator, device=device
        )
        times_s = torch.arange(num_steps, dtype=torch.float64, device=device) * interval_s
        steps = self._steps(start * self.taps.interval_s + times_s)
        gains = self._unit_gains().to(device)[steps]
        response = ImpulseResponse(gains, self.taps.delays_s.to(device), interval_s)
        impairments = Impairments.none(batch_size, device=device)
        return ChannelDraw(response, snr_db, impairments, Interpolation.HOLD)

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return the scenario from its start; only the SNR, where it is one, is drawn."""
        snr_db = self.noise.draw_snr_db(1, symbol_rate_hz=symbol_rate_hz, generator=generator)
        gains = self._unit_gains()
        return FunctionRealisation(
            delays_s=self.taps.delays_s,
            snr_db=float(snr_db[0]),
            impairments=Impairments.none(),
            function=lambda times_s: gains[self._steps(times_s)],
            interpolation=Interpolation.HOLD,
        )

    def as_measured(self) -> MeasuredChannel:
        """Return the link as a channel that the store keeps: its steps, around and around."""
        return MeasuredChannel(
            name=self.name,
            responses=self.taps,
            noise=self.noise,
            provenance={"colosseum_link": self.name, "emulator_gain_db": self.gain_db},
        )
