"""Recordings in, links out: with every probe, every impairment, and nothing where nothing is."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phyemu.channel import (
    Distribution,
    FrontEnd,
    ImpulseResponse,
    MeasuredChannel,
    NoiseLevel,
    TappedDelayLine,
    tdl_profile,
)
from phyemu.channel.stream import ChannelStream
from phyemu.errors import ConfigError, PhyemuError, SignalError, SyncError
from phyemu.iq import Annotation, Recording, open_recording
from phyemu.sounding import Probe, SoundingConfig, sound_recording
from phyemu.sounding.figure import save_sounding_figure
from phyemu.waveform.sounder import SounderFormat, sounder_waveform

Maker = Callable[..., Recording]
RATE = 20e6
AMPLITUDE = 0.2


def _fields(sounder: SounderFormat) -> dict[str, Any]:
    return {"phyemu:waveform": "sounder", "phyemu:sounder": sounder.to_dict()}


def _transmitted(sounder: SounderFormat, num_bursts: int) -> NDArray[np.complex64]:
    silence = np.zeros(sounder.gap_samples, np.complex64)
    burst = (AMPLITUDE * sounder_waveform(sounder)).numpy()
    # The emulator delays what it sends: silence at the end keeps the last burst whole.
    return np.concatenate([silence[:900], *[burst, silence] * num_bursts, silence, silence])


def _static(
    delays_ns: list[float], gains: list[complex], front_end: FrontEnd, snr_db: float
) -> MeasuredChannel:
    response = ImpulseResponse(
        torch.tensor([gains], dtype=torch.complex64),
        torch.tensor(delays_ns, dtype=torch.float64) * 1e-9,
        1e-3,
    )
    return MeasuredChannel(
        name="static",
        responses=response,
        noise=NoiseLevel.of_snr_db(snr_db),
        front_end=front_end,
    )


def _through(iq: NDArray[np.complex64], model: Any, rate: float, seed: int = 3) -> Any:
    stream = ChannelStream(
        model,
        sample_rate_hz=rate,
        symbol_rate_hz=rate,
        reference_power=AMPLITUDE**2,
        seed=seed,
    )
    return np.asarray(stream.process(iq))


@pytest.mark.parametrize("rate", [RATE, 100e6])
def test_a_published_link_is_measured_through_the_emulator(
    make_recording: Maker, rate: float
) -> None:
    # Colosseum 90002 3-5's neighbour 90003 3-5: delays of 110, 240, 300 ns.
    delays, gains = [0.0, 110.0, 240.0, 300.0], [1.0, 0.8, 0.6, 0.5]
    sounder = SounderFormat(sample_rate_hz=rate)
    iq = _through(_transmitted(sounder, 20), _static(delays, gains, FrontEnd(), 20.0), rate)
    (link,) = sound_recording(make_recording(iq, rate, global_fields=_fields(sounder)))
    assert link.num_frames == 20
    assert link.probe == "sounder"
    found = 1e9 * link.paths.delays_s.numpy()
    np.testing.assert_allclose(found, delays, atol=1.0)
    scale = AMPLITUDE**2 / np.sum(np.square(gains))
    level = 10 * np.log10(link.paths.powers().numpy() / scale)
    np.testing.assert_allclose(level, 20 * np.log10(gains), atol=0.1)
    # 20 dB in the whole sample rate.
    assert np.median(link.cn0_dbhz) == pytest.approx(20.0 + 10 * np.log10(rate), abs=0.3)
    noise_dbfs = 20 * np.log10(AMPLITUDE) - 20.0
    assert link.noise_floor_dbfs[0] == pytest.approx(noise_dbfs, abs=0.1)
    assert np.abs(link.cfo_hz).max() < 5e-4 * sounder.bin_spacing_hz


def test_every_impairment_is_recovered_within_its_error(make_recording: Maker) -> None:
    front_end = FrontEnd(
        cfo_hz=Distribution.constant(-37_123.0),
        sfo_ppm=Distribution.constant(-7.7),
        linewidth_hz=Distribution.constant(50.0),
        iq_gain_db=Distribution.constant(0.3),
        iq_phase_rad=Distribution.constant(0.02),
        dc_offset=Distribution.constant(0.004),
    )
    sounder = SounderFormat(sample_rate_hz=RATE)
    model = _static([0.0, 150.0], [1.0, 0.5j], front_end, 20.0)
    iq = _through(_transmitted(sounder, 40), model, RATE)
    (link,) = sound_recording(make_recording(iq, RATE, global_fields=_fields(sounder)))
    assert link.num_frames == 40
    # A 50 Hz line moves the frequency of a burst of 0.41 ms by about 180 Hz.
    assert np.median(link.cfo_hz) == pytest.approx(-37_123.0, abs=5 * 180 / np.sqrt(40))
    assert link.sfo_ppm[0] == pytest.approx(-7.7, abs=0.1)
    estimates = link.front_end
    assert abs(estimates.linewidth_hz.value - 50.0) < 4 * estimates.linewidth_hz.std < 40.0
    assert abs(estimates.iq_gain_db.value - 0.3) < 4 * estimates.iq_gain_db.std < 0.1
    assert abs(estimates.iq_phase_rad.value - 0.02) < 4 * estimates.iq_phase_rad.std < 0.01
    assert abs(estimates.dc_offset) == pytest.approx(0.004, abs=1e-4)
    assert estimates.dc_offset_i.std < 1e-4
    np.testing.assert_allclose(1e9 * link.paths.delays_s.numpy(), [0, 150], atol=1.0)


def test_a_fading_channel_keeps_all_bursts_and_its_delay_spread(make_recording: Maker) -> None:
    front_end = FrontEnd(cfo_hz=Distribution.constant(61e3), sfo_ppm=Distribution.constant(11.0))
    profile = tdl_profile("C", rms_delay_spread_s=100e-9)
    model = TappedDelayLine(
        profile=profile,
        noise=NoiseLevel.of_snr_db(25.0),
        doppler_hz=800.0,
        front_end=front_end,
    )
    sounder = SounderFormat(sample_rate_hz=RATE, length=256, gap_samples=4096)
    iq = _through(_transmitted(sounder, 100), model, RATE)
    (link,) = sound_recording(make_recording(iq, RATE, global_fields=_fields(sounder)))
    assert link.num_frames == 100
    # Fading moves the profile of a frame by a sample or so; 32 ms are 640,000 samples.
    assert link.sfo_ppm[0] == pytest.approx(11.0, abs=1.5)
    mean_power = link.paths.powers().numpy()
    delays = link.paths.delays_s.numpy()
    weights = mean_power / mean_power.sum()
    spread = np.sqrt(weights @ delays**2 - (weights @ delays) ** 2)
    # 32 ms at 800 Hz hold about 25 independent fades of each path.
    assert spread == pytest.approx(100e-9, rel=0.35)


def test_two_sounders_of_different_offset_are_two_links(make_recording: Maker) -> None:
    sounder = SounderFormat(sample_rate_hz=RATE, length=256, gap_samples=4000)
    one = _through(
        _transmitted(sounder, 20),
        _static([0.0], [1.0], FrontEnd(cfo_hz=Distribution.constant(40e3)), 40.0),
        RATE,
    )
    other = _through(
        np.roll(_transmitted(sounder, 20), 3150),
        _static([0.0], [1.0], FrontEnd(cfo_hz=Distribution.constant(-60e3)), 40.0),
        RATE,
    )
    iq = (one + 0.3 * other).astype(np.complex64)
    links = sound_recording(
        make_recording(iq, RATE, global_fields=_fields(sounder)), SoundingConfig(min_frames=3)
    )
    assert [link.transmitter for link in links] == [0, 1]
    offsets = [float(np.median(link.cfo_hz)) for link in links]
    np.testing.assert_allclose(offsets, [40e3, -60e3], atol=300.0)
    difference = links[0].received_power_dbfs.mean() - links[1].received_power_dbfs.mean()
    assert difference == pytest.approx(-20 * np.log10(0.3), abs=0.5)


def _filtered_noise(count: int, seed: int) -> NDArray[np.complex128]:
    rng = np.random.default_rng(seed)
    spectrum = rng.standard_normal(count) + 1j * rng.standard_normal(count)
    spectrum[np.abs(np.fft.fftfreq(count)) > 0.3] = 0
    wave = np.fft.ifft(spectrum)
    normalised: NDArray[np.complex128] = wave / np.sqrt(np.mean(np.abs(wave) ** 2))
    return normalised


@pytest.mark.parametrize("annotated", [True, False])
def test_any_waveform_serves_as_a_reference(make_recording: Maker, annotated: bool) -> None:
    frames = [_filtered_noise(4000, seed) for seed in range(3 if annotated else 1)]
    sent = 0.2 * np.concatenate([np.concatenate([frame, np.zeros(1000)]) for frame in frames])
    notes = tuple(
        Annotation(sample_start=5000 * k, sample_count=4000, label="frame")
        for k in range(len(frames))
    )
    reference = make_recording(sent, RATE, annotations=notes if annotated else ())
    model = _static(
        [0.0, 256.0], [1.0, 0.5j], FrontEnd(cfo_hz=Distribution.constant(43_210.0)), 20.0
    )
    repeated = np.concatenate([np.tile(sent, 6), np.zeros(2000)]).astype(np.complex64)
    received = make_recording(_through(repeated, model, RATE), RATE)
    (link,) = sound_recording(received, reference=reference)
    assert link.probe == "reference"
    assert link.num_frames == 6 * len(frames)
    np.testing.assert_allclose(1e9 * link.paths.delays_s.numpy(), [0, 256], atol=1.0)
    level = 10 * np.log10(link.paths.powers().numpy())
    assert level[1] - level[0] == pytest.approx(-6.02, abs=0.1)
    assert np.median(link.cfo_hz) == pytest.approx(43_210.0, abs=50.0)
    assert np.median(link.received_power_dbfs) == pytest.approx(20 * np.log10(0.2), abs=0.3)


CLOCKED = {
    "conducted_dot11a_9mbps",
    "conducted_dot11n_13mbps",
    "conducted_dot11n_7p2mbps",
    "radiated_dot11n_6p5mbps",
}
NEAR, FAR = "e8:de:27:90:6e:42", "98:5f:d3:c7:06:27"


@pytest.mark.parametrize(
    ("name", "frames", "cfo_hz"),
    [
        ("conducted_dot11a_24mbps", [19], [-35e3]),
        ("conducted_dot11a_9mbps", [18], [-35e3]),
        ("conducted_dot11n_13mbps", [20], [-36.6e3]),
        ("conducted_dot11n_52mbps", [21], [-35.5e3]),
        ("conducted_dot11n_7p2mbps", [17], [-35.8e3]),
        ("radiated_dot11n_19p5mbps", [10], [-32.5e3]),
        ("radiated_dot11n_6p5mbps", [47, 13], [-34.8e3, -15.2e3]),
    ],
)
def test_real_captures_give_one_link_per_transmitter(
    shared_data: Path, name: str, frames: list[int], cfo_hz: list[float]
) -> None:
    path = shared_data / "captures" / f"wifi_{name}.sigmf-meta"
    with open_recording(path) as recording:
        links = sound_recording(recording)
    assert [link.num_frames for link in links] == frames
    # One station sends in all captures; the other is named by what answers it and what it answers.
    assert [link.transmitter_address for link in links] == [NEAR, FAR][: len(frames)]
    offsets = [float(np.median(link.cfo_hz)) for link in links]
    np.testing.assert_allclose(offsets, cfo_hz, atol=1e3)
    for link in links:
        # The pilots tell the clock where frames are long: one crystal makes it and a carrier at
        # 5.2 to 5.8 GHz; four standard errors of 0.45 ppm.
        told = np.isfinite(link.sfo_ppm[0])
        assert told == (name in CLOCKED and link.transmitter == 0)
        assert not told or link.sfo_ppm[0] == pytest.approx(-35e3 / 5.5e9 * 1e6, abs=1.8)
        assert link.recording_sha512 is not None
        assert np.median(link.snr_db) > 30.0
    # The far transmitter is 10 to 11 dB below the near one.
    if len(links) == 2:
        power = [float(np.median(link.received_power_dbfs)) for link in links]
        assert power[0] - power[1] == pytest.approx(10.5, abs=1.0)


def test_two_stations_at_one_offset_and_power_are_told_apart(
    make_recording: Maker, wifi_transmitter: ModuleType
) -> None:
    # Data frames name their station; CTS and HT frames of two streams do not, and go by
    # their response. Both stations have the same oscillator and the same power.
    stations = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
    taps = (np.array([0.8, 0.0, 0.6j]), np.array([0.6, 0.0, 0.0, 0.0, -0.8]))
    rng = np.random.default_rng(12)
    cts = wifi_transmitter.with_fcs(bytes([0xC4, 0, 0, 0, 2, 0, 0, 0, 0, 0x0C]))
    two_streams = wifi_transmitter.HtOptions(mcs_field=9)
    parts, sent = [np.zeros(500)], []
    for number in range(48):
        station = int(rng.integers(0, 2))
        data = wifi_transmitter.data_mpdu(stations[station], "02:00:00:00:00:0c", bytes(30))
        frame = [
            wifi_transmitter.legacy_frame(data, 12),
            wifi_transmitter.ht_frame(data, 2),
            wifi_transmitter.legacy_frame(cts, 6),
            wifi_transmitter.ht_frame(data, 2, two_streams),
        ][number % 4]
        sent.append(station)
        parts += [np.convolve(frame, taps[station]), np.zeros(600)]
    clean = 0.1 * np.concatenate(parts)
    noise = rng.standard_normal((len(clean), 2)) @ [1e-3, 1e-3j]
    links = sound_recording(make_recording(clean + noise, RATE))
    assert sorted(link.transmitter_address or "" for link in links) == list(stations)
    for link in links:
        own = stations.index(link.transmitter_address or "")
        assert link.num_frames == sent.count(own)
        assert link.wifi is not None
        assert (link.wifi.transmitter_address < 0).sum() > 5
        # The strongest paths of the station's own channel, by their distance.
        strong = link.paths.gains.abs().square().mean(dim=0).topk(2).indices.sort().values
        spacing = float(link.paths.delays_s[strong].diff())
        assert spacing == pytest.approx((100e-9, 200e-9)[own], abs=5e-9)


def test_responses_of_a_cable_agree_from_frame_to_frame(shared_data: Path) -> None:
    path = shared_data / "captures" / "wifi_conducted_dot11a_24mbps.sigmf-meta"
    with open_recording(path) as recording:
        (link,) = sound_recording(recording)
    turned = link.transfer * np.exp(
        -1j * np.angle(link.transfer @ link.transfer[0].conj())
    ).reshape(-1, 1)
    scatter = np.mean(np.abs(turned - turned.mean(axis=0)) ** 2)
    # A cable does not change: what differs between frames is the noise that was estimated.
    assert scatter == pytest.approx(link.noise_variance.mean(), rel=0.3)


def test_no_probe_is_one_line_that_says_what_was_looked_for(make_recording: Maker) -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((100_000, 2)) @ [0.1, 0.1j]
    with pytest.raises(SyncError, match=r"no 802\.11 legacy preamble; give .* --reference"):
        sound_recording(make_recording(noise, RATE))
    with pytest.raises(SyncError, match="Wi-Fi preambles are looked for at 20 Msps only, not at 5"):
        sound_recording(make_recording(noise, 5e6))
    frames = {"phyemu:waveform": "frames"}
    for rate in (RATE, 5e6):
        with pytest.raises(SyncError, match=r"name phyemu frames, .* with --reference"):
            sound_recording(make_recording(noise, rate, global_fields=frames))
    with pytest.raises(SyncError, match="no sounder burst found"):
        sound_recording(
            make_recording(noise, RATE, global_fields=_fields(SounderFormat(sample_rate_hz=RATE)))
        )
    reference = make_recording(_filtered_noise(4000, 1), RATE)
    with pytest.raises(SyncError, match="was not found"):
        sound_recording(make_recording(noise, RATE), reference=reference)


@pytest.mark.parametrize("count", [1, 300])
def test_short_recordings_have_no_probe(make_recording: Maker, count: int) -> None:
    with pytest.raises(SyncError, match="no probe"):
        sound_recording(make_recording(np.full(count, 0.1 + 0j), RATE))


def test_bad_samples_are_refused(make_recording: Maker) -> None:
    iq = np.full(5000, 0.1, np.complex64)
    iq[1234] = np.nan
    try:
        recording = make_recording(iq, RATE)
    except PhyemuError:
        return  # the writer refuses it already
    with pytest.raises(PhyemuError, match="1234"):
        sound_recording(recording)


def test_settings_that_contradict_the_recording_are_refused(make_recording: Maker) -> None:
    noise = make_recording(_filtered_noise(5000, 1), RATE)
    with pytest.raises(ConfigError, match="there is no channel 3"):
        sound_recording(noise, SoundingConfig(channel=3))
    with pytest.raises(ConfigError, match="metadata name no sounder"):
        sound_recording(noise, SoundingConfig(probe=Probe.SOUNDER))
    with pytest.raises(ConfigError, match="--reference"):
        sound_recording(noise, SoundingConfig(probe=Probe.REFERENCE))
    slow = make_recording(_filtered_noise(5000, 1), 5e6)
    with pytest.raises(SignalError, match="both must agree"):
        sound_recording(noise, reference=slow)
    fields = _fields(SounderFormat(sample_rate_hz=5e6))
    with pytest.raises(SignalError, match="made for 5 Msps"):
        sound_recording(make_recording(_filtered_noise(5000, 1), RATE, global_fields=fields))


def test_a_figure_has_the_format_of_its_suffix(make_recording: Maker, tmp_path: Path) -> None:
    sounder = SounderFormat(sample_rate_hz=RATE, length=128, gap_samples=400)
    iq = _through(_transmitted(sounder, 5), _static([0.0], [1.0], FrontEnd(), 30.0), RATE)
    links = sound_recording(make_recording(iq, RATE, global_fields=_fields(sounder)))
    path = save_sounding_figure(links, tmp_path / "figure.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"\.png, \.pdf, \.svg"):
        save_sounding_figure(links, tmp_path / "figure.doc")
    with pytest.raises(SignalError, match="no sounding"):
        save_sounding_figure([], tmp_path / "figure.png")


def test_a_reference_that_contradicts_the_recording_is_refused(make_recording: Maker) -> None:
    sent, other = (SounderFormat(sample_rate_hz=RATE, length=size) for size in (256, 512))
    iq = _transmitted(sent, 3)
    recording = make_recording(iq, RATE, global_fields=_fields(sent))
    reference = make_recording(iq, RATE, global_fields=_fields(other))
    with pytest.raises(ConfigError, match="name another sounder than those of"):
        sound_recording(recording, reference=reference)
    (link,) = sound_recording(recording, reference=recording)
    assert link.num_frames == 3
