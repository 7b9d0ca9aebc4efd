"""What sounding a recording found, as numbers for programs and as lines for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from phyemu.errors import SignalError
from phyemu.sounding.sounding import Sounding

__all__ = ["describe", "summarise", "tabulate"]


def summarise(soundings: Sequence[Sounding]) -> dict[str, Any]:
    """Return what `phyemu sound --json` prints.

    The numbers at the top are those of the strongest link, but `frames` counts the frames of all;
    `transmitters` has the summary of each.

    Raises:
        SignalError: There is no sounding.
    """
    if not soundings:
        raise SignalError("there is no sounding to summarise")
    links = [sounding.summary() for sounding in soundings]
    return {
        **links[0],
        "recording": soundings[0].recording_name,
        "frames": sum(link["frames"] for link in links),
        "transmitters": links,
    }


def describe(soundings: Sequence[Sounding]) -> list[str]:
    """Return one line per link and one per path, strongest link first."""
    lines = []
    for sounding in soundings:
        summary = sounding.summary()
        cfo, snr, spread = (summary[key] for key in ("cfo_hz", "snr_db", "rms_delay_spread_s"))
        address = f" {sounding.transmitter_address}" if sounding.transmitter_address else ""
        lines.append(
            f"transmitter {sounding.transmitter}{address}: {sounding.num_frames} "
            f"{sounding.probe} frames, CFO {cfo['median'] / 1e3:.2f} kHz "
            f"({cfo['p05'] / 1e3:.2f} to "
            f"{cfo['p95'] / 1e3:.2f}), SNR {snr['median']:.1f} dB, received "
            f"{summary['received_power_dbfs']['median']:.1f} dBFS, RMS delay spread "
            f"{spread['median'] * 1e9:.1f} ns"
        )
        if sounding.wifi is not None:
            lines.append(f"  {_contents(summary['wifi'])}")
        lines += [
            f"  path {index}: {path['delay_s'] * 1e9:9.2f} ns {path['gain_db']:8.2f} dB"
            for index, path in enumerate(summary["paths"])
        ]
    return lines


def _contents(wifi: dict[str, Any]) -> str:
    """Return what the frames hold, in one line."""

    def listed(counts: dict[str, int]) -> str:
        return ", ".join(f"{count} {name}" for name, count in counts.items())

    checks = listed({f"check sequence {name}": n for name, n in wifi["fcs"].items() if n})
    return f"{listed(wifi['modulations'])}; {listed(wifi['kinds'])}; {checks}"


def tabulate(recordings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table with one line per link of what `summarise` says of several recordings."""
    if not recordings:
        return []
    width = max(len(str(item["recording"])) for item in recordings)
    lines = [
        f"{'recording':<{width}}  link  probe      frames  CFO [kHz]  SNR [dB]  power [dBFS]  "
        f"paths  RMS delay spread [ns]"
    ]
    for item in recordings:
        for link in item["transmitters"]:
            lines.append(
                f"{item['recording']!s:<{width}}  {link['transmitter']:>4}  {link['probe']:<9}  "
                f"{link['frames']:>6}  {link['cfo_hz']['median'] / 1e3:>9.2f}  "
                f"{link['snr_db']['median']:>8.1f}  "
                f"{link['received_power_dbfs']['median']:>12.1f}  {len(link['paths']):>5}  "
                f"{link['rms_delay_spread_s']['median'] * 1e9:>21.1f}"
            )
    return lines
