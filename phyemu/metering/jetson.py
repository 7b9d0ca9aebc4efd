"""Power of a Jetson board by the service of jetson-stats (extra `jetson`).

The service reads the board's monitors and tells the power of all rails together about twice a
second. The monitors themselves (`ina3221`) can be read oftener, where their files can be seen.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from phyemu.errors import MeterError

from .energy import Energy
from .sampling import measure_power

__all__ = ["JetsonMeter", "open_meter"]

_INTERVAL_S = 0.5


class JetsonMeter:
    """Energy of a Jetson board, from powers that jetson-stats tells.

    Args:
        jtop: The class `jtop.jtop`, version 4 or later.
        error: The class `jtop.JtopException`.

    Raises:
        MeterError: The service does not answer, or tells no power.
    """

    def __init__(self, jtop: Callable[..., Any], error: type[Exception]) -> None:
        self._jtop = jtop
        self._error = error
        with self._connected() as board:
            self._power_w(board)

    @property
    def name(self) -> str:
        """jetson-stats."""
        return "jetson-stats (whole board)"

    @property
    def modelled(self) -> bool:
        """False."""
        return False

    @property
    def resolution_s(self) -> float:
        """How often the service tells the power [s]."""
        return _INTERVAL_S

    @contextmanager
    def measure(self) -> Iterator[Energy]:
        """Measure the block of a `with`.

        Raises:
            MeterError: The service ended, or tells no power any more.
        """
        # A reading waits for the service's next one, so nothing need be waited for between them.
        with (
            self._connected() as board,
            measure_power(lambda: self._power_w(board), interval_s=0.0) as energy,
        ):
            yield energy

    def _power_w(self, board: Any) -> float:
        try:
            alive = board.ok()
            told = board.power
        except self._error as exc:
            raise MeterError(f"jetson-stats: {_one_line(exc)}") from exc
        if not alive:
            raise MeterError("jetson-stats: its service ended; sudo systemctl restart jtop.service")
        try:
            return float(told["tot"]["power"]) / 1e3
        except (KeyError, TypeError, ValueError) as exc:
            raise MeterError(
                f"jetson-stats tells no power of the board, but {str(told)[:80]}; it must be "
                "version 4 or later, on a board with power monitors"
            ) from exc

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        board = self._jtop(interval=_INTERVAL_S)
        try:
            board.start()
        except (self._error, OSError) as exc:
            raise MeterError(f"jetson-stats: {_one_line(exc)}") from exc
        try:
            yield board
        finally:
            board.close()


def open_meter() -> JetsonMeter:
    """Return the meter of this board.

    Raises:
        MeterError: The extra is not installed, or its service does not answer.
    """
    try:
        module = import_module("jtop")
    except ImportError as exc:
        raise MeterError(
            "jetson-stats is not installed; on a Jetson: sudo pip3 install jetson-stats, which "
            "starts its service, too, then pip install 'phyemu[jetson]' here"
        ) from exc
    return JetsonMeter(module.jtop, module.JtopException)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
