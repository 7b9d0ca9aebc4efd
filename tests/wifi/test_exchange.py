"""Answers tell who sent what: within an exchange, and nowhere else."""

from phyemu.wifi import MacFrame, WifiContent, WifiFormat, implied_senders

A, B, C = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"
GROUP = "33:33:00:00:00:01"


def _frame(
    control: int, receiver: str | None, transmitter: str | None = None, *, ok: bool | None = True
) -> WifiContent:
    mac = MacFrame(
        control=control,
        receiver_address=receiver,
        transmitter_address=transmitter,
        third_address=None,
        fcs_ok=ok,
    )
    return WifiContent(format=WifiFormat.LEGACY, sample_count=1000, mac_frames=(mac,))


UNDECODED = WifiContent(format=WifiFormat.HT, mcs=15, sample_count=1000)
DATA, ACK, CTS, RTS, BLOCK_ACK = 0x88, 0xD4, 0xC4, 0xB4, 0x94


def test_an_ack_comes_from_whom_the_frame_was_for() -> None:
    frames = [_frame(DATA, B, A), _frame(ACK, A)]
    for gap in (0, 200, 330):
        assert implied_senders([0, 1000 + gap], frames) == [None, B]
    assert implied_senders([0, 1500], frames) == [None, None]
    assert implied_senders([0, 1200], [_frame(RTS, B, A), _frame(CTS, A)]) == [None, B]


def test_an_ack_for_another_tells_nothing() -> None:
    assert implied_senders([0, 1200], [_frame(DATA, B, A), _frame(ACK, C)]) == [None, None]
    assert implied_senders([0, 1200], [_frame(DATA, GROUP, A), _frame(ACK, A)]) == [None, None]
    wrong = _frame(ACK, A, ok=False)
    assert implied_senders([0, 1200], [_frame(DATA, B, A), wrong]) == [None, None]


def test_what_was_not_decoded_comes_from_whom_the_answer_is_for() -> None:
    answer = _frame(BLOCK_ACK, B, A)
    assert implied_senders([0, 1200], [UNDECODED, answer]) == [B, None]
    assert implied_senders([0, 1200], [_frame(DATA, A, B, ok=False), answer]) == [B, None]
    assert implied_senders([0, 1500], [UNDECODED, answer]) == [None, None]
    # A data frame answers nothing; what cannot even be timed is not answered.
    assert implied_senders([0, 1200], [UNDECODED, _frame(DATA, B, A)]) == [None, None]
    assert implied_senders([0, 1200], [WifiContent(), answer]) == [None, None]


def test_no_frames_have_no_senders() -> None:
    assert implied_senders([], []) == []
