"""The event model against ns-3, and what happens without it or where it talks nonsense.

Tolerances of the comparison. Durations and bytes on clean links: 3 %, because an edge server that
answers at once draws a backoff here, as the standard has it, and none in ns-3, so that it collides
with 12 instead of 7 % of its answers. Four standard errors of the means over seeds come on top, and
where frames are lost the systematic part is doubled.
"""

import importlib.machinery
import importlib.util
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from phyemu.errors import ConfigError, PhyemuError
from phyemu.fullstack import (
    Engine,
    Protocol,
    Transfer,
    WifiLink,
    available_engine,
    ns3_engine,
    ns3_program,
    run_transfer,
    transfer,
    transfer_ns3,
    why_no_ns3,
)

KIB = 1024
SYSTEMATIC = 0.03


@pytest.fixture
def ns3() -> None:
    """Skip where ns-3 cannot run."""
    reason = why_no_ns3()
    if reason is not None:
        pytest.skip(reason)


def both(
    payload: int, link: WifiLink, protocol: Protocol, seeds: int
) -> tuple[list[Transfer], list[Transfer]]:
    ours = [transfer(payload, link, protocol, seed=seed) for seed in range(2 * seeds)]
    theirs = [transfer_ns3(payload, link, protocol, seed=seed) for seed in range(seeds)]
    assert {item.engine for item in theirs} == {Engine.NS3}
    return ours, theirs


def assert_equal_means(ours: list[float], theirs: list[float], systematic: float) -> None:
    means = [statistics.mean(values) for values in (ours, theirs)]
    errors = [statistics.stdev(values) / math.sqrt(len(values)) for values in (ours, theirs)]
    assert means[0] == pytest.approx(means[1], abs=systematic * means[1] + 4 * math.hypot(*errors))


def reference(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that runs ns-3 itself."""
    for mark in (pytest.mark.ns3, pytest.mark.slow, pytest.mark.usefixtures("ns3")):
        test = mark(test)
    return test


@reference
@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("rate_mbps", [6, 24, 54, None])
def test_clean_links_of_every_rate_agree(protocol: Protocol, rate_mbps: int | None) -> None:
    link = WifiLink.at_snr(30.0, rate_mbps)
    ours, theirs = both(128 * KIB, link, protocol, 3)
    for name in ("duration_s", "bytes_on_air", "airtime_s"):
        assert_equal_means(
            [getattr(item, name) for item in ours],
            [getattr(item, name) for item in theirs],
            SYSTEMATIC,
        )
    assert all(item.delivered_bytes == 128 * KIB for item in (*ours, *theirs))


@reference
@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize(("payload_kib", "seeds"), [(16, 6), (256, 3), (4096, 2)])
def test_payloads_of_every_size_agree(protocol: Protocol, payload_kib: int, seeds: int) -> None:
    ours, theirs = both(payload_kib * KIB, WifiLink.at_snr(30.0, 36), protocol, seeds)
    for name in ("duration_s", "bytes_on_air"):
        assert_equal_means(
            [getattr(item, name) for item in ours],
            [getattr(item, name) for item in theirs],
            SYSTEMATIC,
        )


@reference
def test_udp_on_a_clean_link_puts_the_very_same_bytes_on_the_air() -> None:
    link = WifiLink.at_snr(30.0, 48)
    ours = transfer(100_000, link, Protocol.UDP, seed=0)
    theirs = transfer_ns3(100_000, link, Protocol.UDP, seed=0)
    assert ours.overhead_bytes == theirs.overhead_bytes
    assert ours.transmit_s == pytest.approx(theirs.transmit_s)
    assert ours.receive_s == pytest.approx(theirs.receive_s)


@reference
@pytest.mark.parametrize(
    ("rate_mbps", "snr_db"),
    # Frame error rates of some 10, 30 and 15 %.
    [(24, 13.5), (36, 16.2), (54, 22.5)],
)
@pytest.mark.parametrize("protocol", Protocol)
def test_losses_agree(protocol: Protocol, rate_mbps: int, snr_db: float) -> None:
    ours, theirs = both(128 * KIB, WifiLink.at_snr(snr_db, rate_mbps), protocol, 6)
    for name in ("duration_s", "bytes_on_air", "delivered_bytes", "transport_retransmissions"):
        assert_equal_means(
            [float(getattr(item, name)) for item in ours],
            [float(getattr(item, name)) for item in theirs],
            2 * SYSTEMATIC,
        )


@reference
def test_a_fading_link_takes_its_time_in_both() -> None:
    from phyemu.channel import load_channel
    from phyemu.fullstack import wifi_link

    # At this mean SNR one of the four links fades below what 24 Mbit/s need, and one nearly does.
    model = load_channel("tgn-b-los:17:10")
    links = [wifi_link(model, seed=seed, rate_mbps=24) for seed in range(4)]
    ours = [transfer(64 * KIB, link, Protocol.UDP, seed=1).duration_s for link in links]
    theirs = [transfer_ns3(64 * KIB, link, Protocol.UDP, seed=1).duration_s for link in links]
    # Each link for itself: the same fades at the same times.
    for mine, reference_s in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(reference_s, rel=0.25)
    assert max(ours) > 1.05 * min(ours)


@reference
def test_ns3_is_preferred_where_it_is_and_repeats_itself() -> None:
    link = WifiLink.at_snr(13.3, 24)
    found = [run_transfer(8 * KIB, link, Protocol.TCP, seed=5) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].engine is Engine.NS3
    own = run_transfer(8 * KIB, link, Protocol.TCP, seed=5, engine=Engine.MODEL)
    assert own == transfer(8 * KIB, link, Protocol.TCP, seed=5)


def test_without_ns3_the_event_model_works_and_asking_for_ns3_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert available_engine() is Engine.MODEL
    link = WifiLink.at_snr(20.0)
    assert run_transfer(1000, link, Protocol.TCP, seed=0).engine is Engine.MODEL
    with pytest.raises(ConfigError, match=r"not installed \(pip install --no-deps ns3=="):
        transfer_ns3(1000, link, Protocol.TCP, seed=0)


def fake_wheel(folder: Path) -> Path:
    """Make a folder that looks like ns-3's."""
    place = folder / "ns3"
    (place / "lib64").mkdir(parents=True)
    (place / "lib64" / "libns3.44-wifi.so").touch()
    (place / "include" / "ns3").mkdir(parents=True)
    (place / "include" / "ns3" / "wifi-module.h").touch()
    return place


def compiler(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that ns-3 is installed, with an empty cache."""
    monkeypatch.syspath_prepend(str(fake_wheel(tmp_path / "site").parent))
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: importlib.machinery.PathFinder.find_spec(name, [str(tmp_path / "site")]),
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_without_a_compiler_that_is_the_reason(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", str(wheel / "nothing"))
    assert "no C++ compiler" in str(why_no_ns3())


def test_a_compiler_may_have_words_before_and_behind_it(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = wheel / "words"
    compiler(wheel / "ccache", f'echo "$@" > {words}; shift; printf "#!/bin/sh\\n" > "$5"')
    monkeypatch.setenv("CXX", f"'{wheel / 'ccache'}' g++ -m64")
    assert why_no_ns3() is None
    assert ns3_program.ns3_program().is_file()
    assert words.read_text().startswith("g++ -m64 -std=c++20 -O1 -o ")


def test_quotes_in_cxx_that_nothing_closes_name_no_compiler(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "'g++")
    assert "no C++ compiler" in str(why_no_ns3())


def test_a_user_without_a_home_is_asked_for_a_folder(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("CXX", str(compiler(wheel / "cxx", 'printf "" > "$4"')))
    monkeypatch.setattr(Path, "home", no_home)
    assert why_no_ns3() is None
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert available_engine() is Engine.MODEL
    with pytest.raises(ConfigError, match=r"no home folder .* \(set XDG_CACHE_HOME\)"):
        ns3_program.ns3_program()


def test_a_compiler_that_refuses_is_told_and_leaves_nothing(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "echo 'scenario.cc:1: error: no such header' >&2; exit 1"
    monkeypatch.setenv("CXX", str(compiler(wheel / "cxx", text)))
    with pytest.raises(ConfigError, match="error: no such header"):
        ns3_program.ns3_program()
    assert list((wheel / "cache" / "phyemu").iterdir()) == []


def test_the_program_is_built_once(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = wheel / "count"
    # g++ ... -o PROGRAM SOURCE ...
    text = f'echo x >> {count}; printf "#!/bin/sh\\n" > "$4"'
    monkeypatch.setenv("CXX", str(compiler(wheel / "cxx", text)))
    assert why_no_ns3() is None
    built = ns3_program.ns3_program()
    assert ns3_program.ns3_program() == built
    assert count.read_text() == "x\n"
    assert [path.name for path in built.parent.iterdir()] == [built.name]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 'assert failed' >&2; exit 134", "code 134 and said: assert failed"),
        ("exit 0", "without a result"),
        ("echo 'delivered ten 1.0'", "cannot be"),
        ("echo 'delivered 10 1.0'; echo 'frame 0 beacon 10 6 1'", "cannot be"),
        ("echo 'delivered 10 1.0'; echo 'frame 0 ack'", "nobody asked for"),
    ],
)
def test_an_engine_that_talks_nonsense_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    program = compiler(tmp_path / "program", f"cat > /dev/null; {text}")
    monkeypatch.setattr(ns3_engine, "ns3_program", lambda: program)
    with pytest.raises(PhyemuError, match=said):
        transfer_ns3(1000, WifiLink.at_snr(20.0), Protocol.TCP, seed=0)
