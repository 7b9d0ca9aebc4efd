"""The radio of a node: a USRP, or the sockets that stand for one in a rehearsal."""

import json
import os
from collections.abc import Mapping

from phyemu.errors import ConfigError
from phyemu.live.socket_radio import SocketRadio
from phyemu.node.radio_conf import RadioConf
from phyemu.radio import Radio, UsrpConfig, UsrpPort, UsrpRadio

__all__ = ["RADIO_VARIABLE", "open_role_radio", "stall_s"]

RADIO_VARIABLE = "PHYEMU_NODE_RADIO"
_KEYS = {"send", "receive", "sample_rate_hz"}
# A USRP's samples never stop; the air of a rehearsal waits for its slowest node [s].
_USRP_STALL_S = 5.0
_SOCKET_STALL_S = 60.0


def stall_s(variables: Mapping[str, str] = os.environ) -> float:
    """Return the time without a sample after which the radio counts as gone [s]."""
    return _SOCKET_STALL_S if variables.get(RADIO_VARIABLE) else _USRP_STALL_S


def open_role_radio(
    conf: RadioConf, center_frequency_hz: float, variables: Mapping[str, str] = os.environ
) -> Radio:
    """Return the radio of a node, open.

    Args:
        conf: Its settings; gain, antenna and LO offset are those of the role's direction.
        center_frequency_hz: Where it is tuned to [Hz].
        variables: With `PHYEMU_NODE_RADIO`, the sockets of a `SocketRadio` as JSON.

    Raises:
        ConfigError: The variable holds no such JSON, or names no such sockets.
        RadioError: The radio is missing, in use, or refuses a setting.
    """
    text = variables.get(RADIO_VARIABLE)
    if text:
        return _socket_radio(text, center_frequency_hz)
    section = conf.radio
    port = UsrpPort(
        gain_db=section.gain_db,
        antenna=section.antenna or None,
        lo_offset_hz=section.lo_offset_hz,
    )
    transmits = conf.role.transmits
    return UsrpRadio(
        UsrpConfig(
            args=section.usrp,
            sample_rate_hz=section.sample_rate_hz,
            center_frequency_hz=center_frequency_hz,
            rx=UsrpPort() if transmits else port,
            tx=port if transmits else UsrpPort(),
        )
    )


def _socket_radio(text: str, center_frequency_hz: float) -> SocketRadio:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{RADIO_VARIABLE}: is no JSON ({exc})") from exc
    if not isinstance(values, dict) or set(values) != _KEYS:
        raise ConfigError(
            f"{RADIO_VARIABLE}: must be an object with {', '.join(sorted(_KEYS))}, got {text[:80]}"
        )
    send, receive, rate_hz = values["send"], values["receive"], values["sample_rate_hz"]
    is_number = isinstance(rate_hz, int | float) and not isinstance(rate_hz, bool)
    if not (isinstance(send, str) and isinstance(receive, str) and is_number):
        raise ConfigError(
            f"{RADIO_VARIABLE}: send and receive must be texts, sample_rate_hz a number; "
            f"got {text[:80]}"
        )
    return SocketRadio(
        send=send,
        receive=receive,
        sample_rate_hz=rate_hz,
        center_frequency_hz=center_frequency_hz,
        stall_s=_SOCKET_STALL_S,
    )
