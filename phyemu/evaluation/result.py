"""A result of an evaluation."""

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Evaluation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """How a PhyDNN did over a channel.

    Attributes:
        channel: Name of the channel, or of the recording.
        fidelity: `symbol`, `waveform`, `frames` (each through a draw of the channel with
            `ChannelLayer`, then through the stream receiver) or `recording`.
        num_images: Images scored.
        accuracy: Share whose class was found, in percent.
        ser: Share of the symbols received wrongly, in [0, 1]; erased ones count as wrong.
        frames_sent: Frames on the air; 0 where the fidelity has none.
        frames_lost: Frames of which nothing was received.
        bytes_on_air_per_batch_of_64: Payload and overhead of 64 images.
        snr_db: Mean SNR: of the channel [dB] for links; as the receiver estimated it, behind the
            matched filter, for frames and recordings.
    """

    channel: str
    fidelity: str
    num_images: int
    accuracy: float
    ser: float
    frames_sent: int
    frames_lost: int
    bytes_on_air_per_batch_of_64: float
    snr_db: float

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)
