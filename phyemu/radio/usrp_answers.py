"""What a USRP answers when it is asked how one of its directions ("rx" or "tx") is set."""

from typing import Any

from phyemu.radio.usrp_driver import ask

__all__ = ["front_ends_chosen", "port_answers"]

_SETTINGS = {
    "freq": "center_frequency_hz",
    "gain": "gain_db",
    "antenna": "antenna",
    "bandwidth": "bandwidth_hz",
}


def port_answers(device: Any, direction: str, channels: tuple[int, ...]) -> dict[str, list[Any]]:
    """Return the settings of a direction, each a list with one value for each channel.

    What the device cannot tell is None.
    """
    return {
        key: [ask(getattr(device, f"get_{direction}_{setting}"), number) for number in channels]
        for setting, key in _SETTINGS.items()
    }


def front_ends_chosen(device: Any, direction: str) -> str | None:
    """Return the front ends behind the channels, as UHD writes them; None: it cannot tell."""
    specification = getattr(device, f"get_{direction}_subdev_spec")
    answer: str | None = ask(lambda board: specification(board).to_string(), 0)
    return answer
