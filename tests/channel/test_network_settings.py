"""Networks from TOML: what is described is read, what is wrong is named."""

from pathlib import Path

import pytest

from phyemu.channel.network_settings import LinkSettings, read_network
from phyemu.errors import ConfigError

TWO_LINKS = """
[[links]]
transmitter = "a"
receiver = "b"
channel = "tgn-d:15"

[[links]]
transmitter = "c"
receiver = "b"
channel = "awgn:20"
gain_db = -3

[nodes.b]
noise_dbfs = -50
cfo_hz = -200.0
bits = 12
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "net.toml"
    path.write_text(text, "utf-8")
    return path


def test_links_and_nodes_are_read(tmp_path: Path) -> None:
    settings = read_network(write(tmp_path, TWO_LINKS))
    assert [(link.transmitter, link.receiver) for link in settings.links] == [
        ("a", "b"),
        ("c", "b"),
    ]
    assert [link.gain_db for link in settings.links] == [0.0, -3.0]
    node = settings.nodes["b"]
    assert node.noise_dbfs == -50.0
    assert (node.front_end.cfo_hz.mean, node.front_end.bits) == (-200.0, 12)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gain_db", "gian_db", "net.toml: links 2: unknown key 'gian_db'; did you mean gain_db"),
        ("noise_dbfs", "noise_dbm", "net.toml: nodes.b: unknown key 'noise_dbm'.*noise_dbfs"),
        ("[[links]]", "[[link]]", "net.toml: unknown key 'link'; did you mean links"),
        ('channel = "awgn:20"', "", "net.toml: links 2: channel is missing"),
        ('"c"', '"a"', "net.toml: the link a to b is there twice"),
        ("[nodes.b]", "[nodes.d]", "net.toml: no link names the node 'd'"),
        ("[nodes.b]", "[nodes.a]", "net.toml: node 'a' hears nobody"),
        ("bits = 12", "bits = 1", "net.toml: nodes.b: bits must be 0"),
        ("bits = 12", "bits = 12.0", "bits must be of type int"),
        ("[[links]]", "[links]", "cannot be read as TOML|links must be a list"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_network(write(tmp_path, TWO_LINKS.replace(old, new)))


def test_a_network_without_links_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"at least one \[\[links\]\]"):
        read_network(write(tmp_path, "links = []"))
    with pytest.raises(ConfigError, match="no such file"):
        read_network(tmp_path / "absent.toml")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "..", "a=b", "{node}", "a b"])
def test_a_node_whose_name_is_no_name_of_a_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name of a node"):
        LinkSettings(transmitter="a", receiver=name, channel="awgn:10")
