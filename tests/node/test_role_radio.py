"""Which radio a node opens, and how it is set."""

from typing import Any

import pytest

from phyemu.errors import ConfigError
from phyemu.live import SocketRadio
from phyemu.node import role_radio
from phyemu.node.radio_conf import RadioConf, RadioSection, Role
from phyemu.node.role_radio import open_role_radio, stall_s
from phyemu.radio import UsrpPort

SECTION = RadioSection(
    usrp="addr=192.168.40.2",
    sample_rate_hz=5e6,
    gain_db=12.0,
    antenna="TX/RX",
    lo_offset_hz=-42e6,
)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.IDLE])
def test_a_usrp_is_set_in_the_direction_of_its_role(
    role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(role_radio, "UsrpRadio", asked.append)
    open_role_radio(RadioConf(role=role, radio=SECTION), 2.4e9, {})
    (config,) = asked
    assert (config.args, config.sample_rate_hz) == ("addr=192.168.40.2", 5e6)
    assert config.center_frequency_hz == 2.4e9
    port = UsrpPort(gain_db=12.0, antenna="TX/RX", lo_offset_hz=-42e6)
    transmits = role in (Role.TRANSMIT, Role.PHYDNN_TRANSMIT)
    assert (config.tx if transmits else config.rx) == port
    assert (config.rx if transmits else config.tx) == UsrpPort()
    assert stall_s({}) == 5.0


def test_sockets_stand_for_it_in_a_rehearsal() -> None:
    text = (
        '{"send": "zmq+push://127.0.0.1:1?connect", "receive": "zmq+pull://127.0.0.1:2", '
        '"sample_rate_hz": 1e6}'
    )
    variables = {"PHYEMU_NODE_RADIO": text}
    with open_role_radio(RadioConf(role=Role.CAPTURE), 1e9, variables) as radio:
        assert isinstance(radio, SocketRadio)
        assert (radio.sample_rate_hz, radio.center_frequency_hz) == (1e6, 1e9)
        radio.retune(2e9)
        assert radio.center_frequency_hz == 2e9
    # The air of a rehearsal waits for its slowest node.
    assert stall_s(variables) > 5.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "PHYEMU_NODE_RADIO: is no JSON"),
        ('{"send": "x"}', "must be an object with receive, sample_rate_hz, send"),
        (
            '{"send": 1, "receive": "zmq+pull://127.0.0.1:1", "sample_rate_hz": 1}',
            "send and receive must be texts, sample_rate_hz a number",
        ),
    ],
)
def test_sockets_that_are_none_are_one_line(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        open_role_radio(RadioConf(role=Role.CAPTURE), 1e9, {"PHYEMU_NODE_RADIO": text})
