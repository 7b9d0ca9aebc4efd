"""Small-scale fading: Rician or Rayleigh path gains with a Doppler spectrum.

g_p(t) = sqrt(P_p) (sqrt(K_p / (K_p + 1)) exp(j (theta + phi_p + 2 pi f_p t))
                    + sqrt(1 / (K_p + 1)) d_p(t))

theta is a common carrier phase, uniform from draw to draw; phi_p is fixed. The diffuse part d_p is
a sum of equally strong sinusoids (random phases, frequencies stratified over the Doppler spectrum),
so that it is a function of time that can be asked for at any time: no filter state, no block.
Paths of another family than Rice's keep the phase of g and exchange the amplitude (`envelope`).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.channel.counter_random import counter_normals, counter_uniforms, stream_keys
from phyemu.channel.doppler import DopplerSpectrum, doppler_quantile
from phyemu.channel.envelope import FadingFamily, reshape_envelope
from phyemu.channel.realisation import block_index
from phyemu.errors import ConfigError

__all__ = ["FadingProcess"]

_NUM_SINUSOIDS = 48
_MOST_VALUES = 1 << 16  # of sinusoids that are computed together
_STRIDE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class FadingProcess:
    """The gains of all paths of a link; every tuple has one entry per path.

    Attributes:
        powers: Mean powers, >= 0, sum one.
        k_factor: Rician K, linear, >= 0; 0 is Rayleigh, infinity is a fixed gain.
        doppler_hz: Doppler scale fd of the diffuse part [Hz], >= 0; 0 is frozen.
        spectrum: Doppler spectrum of the diffuse part.
        specular_phase_rad: phi_p; empty: all 0.
        specular_doppler_hz: f_p; empty: all 0.
        correlation: Hermitian, positive semidefinite correlation matrix of the diffuse parts with
            unit diagonal; empty: independent paths.
        family: Distribution of each path's amplitude; empty: all Rician (Rayleigh where K is 0).
        shape: Parameter of each family that has one (Nakagami m, standard deviation of the
            log-normal ln |g|), 0 for the others; empty: all 0.
    """

    powers: tuple[float, ...]
    k_factor: tuple[float, ...]
    doppler_hz: tuple[float, ...]
    spectrum: DopplerSpectrum = DopplerSpectrum.JAKES
    specular_phase_rad: tuple[float, ...] = ()
    specular_doppler_hz: tuple[float, ...] = ()
    correlation: tuple[tuple[complex, ...], ...] = ()
    family: tuple[FadingFamily, ...] = ()
    shape: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no fading process."""
        num_paths = len(self.powers)
        for name in ("k_factor", "doppler_hz", "specular_phase_rad", "specular_doppler_hz"):
            values = getattr(self, name)
            optional = name.startswith("specular")
            if len(values) != num_paths and not (optional and not values):
                raise ConfigError(f"{name} has {len(values)} entries for {num_paths} paths")
            if any(math.isnan(value) or (not optional and value < 0) for value in values):
                raise ConfigError(f"{name} must be numbers that are not negative, got {values}")
        if num_paths == 0 or any(not power >= 0 for power in self.powers):
            raise ConfigError(f"powers must be at least one value, none negative: {self.powers}")
        if abs(sum(self.powers) - 1) > 1e-6:
            raise ConfigError(f"path powers must sum to one, got {sum(self.powers):.6g}")
        if self.correlation:
            self._mixing()
        self._check_families()

    def _check_families(self) -> None:
        for name in ("family", "shape"):
            if len(getattr(self, name)) not in (0, self.num_paths):
                raise ConfigError(
                    f"{name} has {len(getattr(self, name))} entries for {self.num_paths} paths"
                )
        for path, family in enumerate(self.family):
            shape = self.shape[path] if self.shape else 0.0
            k_factor = self.k_factor[path]
            if family.reshapes and not (math.isfinite(shape) and shape > 0):
                raise ConfigError(f"path {path} fades {family} and needs a shape > 0, got {shape}")
            if family.reshapes and math.isinf(k_factor):
                raise ConfigError(f"path {path} fades {family} and needs a finite K to fade at all")
            if family is FadingFamily.RAYLEIGH and k_factor != 0:
                raise ConfigError(f"path {path} fades rayleigh and needs K = 0, got {k_factor}")

    @property
    def num_paths(self) -> int:
        """Return the number of paths."""
        return len(self.powers)

    @property
    def frozen(self) -> bool:
        """Return whether a draw does not change with time."""
        return not any(self.doppler_hz) and not any(self.specular_doppler_hz)

    def draw(
        self, batch_size: int, *, num_steps: int, interval_s: float, generator: torch.Generator
    ) -> Tensor:
        """Return independent gains, (batch, num_steps, path) complex64; the generator advances."""
        device = generator.device
        shape = (batch_size, self.num_paths)
        theta = _uniform((batch_size, 1), generator)
        if not any(self.doppler_hz) or num_steps == 1:
            diffuse = torch.randn(
                (batch_size, 1, self.num_paths),
                dtype=torch.complex128,
                generator=generator,
                device=device,
            )
        else:
            frequencies_hz, phases = self._sinusoids(shape, generator)
            times_s = torch.arange(num_steps, dtype=torch.float64, device=device) * interval_s
            diffuse = torch.zeros((batch_size, num_steps, self.num_paths), dtype=torch.complex128)
            diffuse = diffuse.to(device)
            # Some at a time: memory stays near that of the result, and short draws take one pass.
            together = max(1, min(_NUM_SINUSOIDS, _MOST_VALUES // diffuse.numel()))
            for first in range(0, _NUM_SINUSOIDS, together):
                part = slice(first, first + together)
                turns = times_s[:, None, None] * frequencies_hz[:, None, :, part]
                angles = 2 * torch.pi * (turns + phases[:, None, :, part])
                diffuse += torch.complex(torch.cos(angles), torch.sin(angles)).sum(-1)
            diffuse = diffuse / math.sqrt(_NUM_SINUSOIDS)
        times_s = torch.arange(num_steps, dtype=torch.float64, device=device) * interval_s
        return self._combine(diffuse, theta, times_s).to(torch.complex64)

    def realise(self, generator: torch.Generator) -> "SinusoidGains":
        """Return one endless function of time, on the CPU; the generator advances."""
        theta = _uniform((1,), generator).cpu()
        frequencies_hz, phases = self._sinusoids((self.num_paths,), generator)
        return SinusoidGains(self, theta, frequencies_hz.cpu(), phases.cpu())

    def realise_blocks(self, block_s: float, generator: torch.Generator) -> "BlockGains":
        """Return an endless function of time whose gains are drawn afresh every `block_s`."""
        seed = int(torch.randint(0, 2**62, (1,), generator=generator, device=generator.device))
        return BlockGains(self, block_s, seed)

    def _sinusoids(
        self, shape: tuple[int, ...], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return frequencies [Hz] and phases [turns], (*shape, sinusoid)."""
        jitter = _uniform((*shape, _NUM_SINUSOIDS), generator)
        phases = _uniform((*shape, _NUM_SINUSOIDS), generator)
        strata = torch.arange(_NUM_SINUSOIDS, dtype=torch.float64, device=generator.device)
        levels = (strata + jitter) / _NUM_SINUSOIDS
        scale = torch.tensor(self.doppler_hz, dtype=torch.float64, device=generator.device)
        return scale[:, None] * doppler_quantile(self.spectrum, levels), phases

    def _mixing(self) -> Tensor:
        """Return A with A A^H = correlation, (path, path) complex128."""
        matrix = torch.tensor(self.correlation, dtype=torch.complex128)
        if matrix.shape != (self.num_paths, self.num_paths):
            raise ConfigError(f"correlation must be {self.num_paths} x {self.num_paths}")
        if not torch.allclose(matrix, matrix.mH, atol=1e-6):
            raise ConfigError("correlation must be Hermitian")
        unit = torch.ones(self.num_paths, dtype=torch.float64)
        if not torch.allclose(matrix.diagonal().real, unit, atol=1e-6):
            raise ConfigError("correlation must have a unit diagonal")
        values, vectors = torch.linalg.eigh(matrix)
        if bool((values < -1e-6).any()):
            raise ConfigError("correlation must be positive semidefinite")
        mixing: Tensor = vectors * values.clamp(min=0).sqrt()
        return mixing

    def _combine(self, diffuse: Tensor, theta: Tensor, times_s: Tensor) -> Tensor:
        """Return the gains of a diffuse part (..., time or 1, path) and theta (..., 1) turns."""

        def row(values: tuple[float, ...]) -> Tensor:
            values = values or (0.0,) * self.num_paths
            return torch.tensor(values, dtype=torch.float64, device=diffuse.device)

        if self.correlation:
            diffuse = diffuse @ self._mixing().mT.to(diffuse.device)
        amplitude = row(self.powers).sqrt()
        # K / (K + 1) written so that an infinite K gives 1.
        share = 1 / (1 + row(self.k_factor))
        turns = theta[..., None] + row(self.specular_phase_rad) / (2 * torch.pi)
        turns = turns + times_s[:, None] * row(self.specular_doppler_hz)
        specular = torch.polar(
            ((1 - share).sqrt() * amplitude).expand_as(turns), 2 * torch.pi * turns
        )
        gains = specular + diffuse * (share.sqrt() * amplitude)
        if not any(family.reshapes for family in self.family):
            return gains
        return torch.stack(
            [self._reshaped(gains[..., path], path) for path in range(self.num_paths)], dim=-1
        )

    def _reshaped(self, gains: Tensor, path: int) -> Tensor:
        """Return the gains of a path with the amplitudes of its family."""
        family, power = self.family[path], self.powers[path]
        if not family.reshapes or power == 0:
            return gains
        return reshape_envelope(
            gains,
            power=power,
            k_factor=self.k_factor[path],
            family=family,
            shape=self.shape[path],
        )


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=generator, device=generator.device)


@dataclass(frozen=True, eq=False, slots=True)
class SinusoidGains:
    """Continuously fading gains as a function of time."""

    process: FadingProcess
    theta: Tensor
    frequencies_hz: Tensor
    phases: Tensor

    def gains(self, times_s: Tensor) -> Tensor:
        """Return the gains at `times_s` (time,) float64 [s]: (time, path) complex64."""
        if self.process.frozen:
            first = self._gains(times_s[:1] * 0)
            return first.expand(len(times_s), -1).clone()
        return self._gains(times_s)

    def _gains(self, times_s: Tensor) -> Tensor:
        num_times, count = len(times_s), self.phases.shape[-1]
        # A grid t = t_0 + (8 a + b) dt needs sines at its 8-steps and at 8 offsets only:
        # exp(j w t) = exp(j w (t_0 + 8 a dt)) exp(j w b dt), summed over sinusoids as a product.
        stride = _STRIDE if _is_grid(times_s) else 1
        coarse = self._phasors(times_s[::stride], self.phases)
        if stride == 1:
            diffuse = coarse.sum(dim=-1)
        else:
            fine = self._phasors(times_s[:stride] - times_s[0], torch.zeros_like(self.phases))
            product = coarse.permute(1, 0, 2) @ fine.permute(1, 2, 0)
            diffuse = product.permute(1, 2, 0).reshape(-1, self.process.num_paths)[:num_times]
        diffuse = diffuse / math.sqrt(count)
        return self.process._combine(diffuse, self.theta, times_s).to(torch.complex64)

    def _phasors(self, times_s: Tensor, phases: Tensor) -> Tensor:
        """Return exp(j 2 pi (f t + phase)), (time, path, sinusoid) complex128."""
        # In turns, reduced to [0, 1) before the product with 2 pi: exact enough after days.
        turns = times_s[:, None, None] * self.frequencies_hz + phases
        turns = 2 * torch.pi * (turns - turns.floor())
        return torch.complex(turns.cos(), turns.sin())


def _is_grid(times_s: Tensor) -> bool:
    """Return whether the times are many and equidistant."""
    if len(times_s) < 4 * _STRIDE:
        return False
    steps = times_s.diff()
    return bool((steps - steps[0]).abs().max() <= 1e-9 * steps[0].abs())


@dataclass(frozen=True, eq=False, slots=True)
class BlockGains:
    """Gains that are constant over a block of time and independent from block to block.

    Block k is centred at k `block_s`.
    """

    process: FadingProcess
    block_s: float
    seed: int

    def gains(self, times_s: Tensor) -> Tensor:
        """Return the gains at `times_s` (time,) float64 [s]: (time, path) complex64."""
        blocks = block_index(times_s, self.block_s)
        paths = torch.arange(self.process.num_paths)
        counters = blocks[:, None] * self.process.num_paths + paths
        diffuse = counter_normals(stream_keys(self.seed, 0), counters)
        theta = counter_uniforms(stream_keys(self.seed, 1), blocks)[:, None, None]
        combined = self.process._combine(diffuse[:, None], theta[:, 0], times_s[:1] * 0)
        return combined[:, 0].to(torch.complex64)
