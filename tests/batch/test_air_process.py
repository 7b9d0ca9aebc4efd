"""The rehearsal's side of the air: what the process says that is no event."""

import sys

import pytest

from phyemu.batch import air_process
from phyemu.batch.air import AirSettings
from phyemu.batch.air_process import AirProcess
from phyemu.errors import TransportError

SETTINGS = AirSettings(scenario="x", sample_rate_hz=1e6, transmitters=(1,), receivers=(2,))


@pytest.mark.parametrize("line", ["a library greets", "[1, 2]", "{}", "\\xff"])
def test_a_line_that_is_no_event_is_a_failure_at_once(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It goes on until its input ends, as the air does.
    program = (
        f"import sys; sys.stdout.buffer.write(b'{line}\\n'); sys.stdout.flush(); sys.stdin.read()"
    )
    monkeypatch.setattr(air_process, "_COMMAND", (sys.executable, "-c", program))
    monkeypatch.setattr(air_process, "_READY_S", 60.0)
    with pytest.raises(TransportError, match="which is no event"):
        AirProcess(SETTINGS)
