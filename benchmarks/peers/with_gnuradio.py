"""GNU Radio's blocks on the work; run by the interpreter that has GNU Radio.

A flowgraph is source (a vector, repeated) -> head -> channel or receiver -> null sink, or the file
sink without either. Building it is not timed; its run is, all threads on one core.
"""

from collections.abc import Callable, Mapping, Sequence

from answer import Work, answer


def load() -> tuple[str, Mapping[str, Callable[..., Work]]]:
    """Return GNU Radio's version and its works."""
    import numpy as np
    from gnuradio import analog, blocks, channels, digital, filter, gr

    sinusoids = 8  # "a good value", says the documentation

    def flowgraph(num_samples: int, connect: Callable[..., object]) -> Work:
        rng = np.random.default_rng(0)
        sent = rng.normal(size=1 << 18) + 1j * rng.normal(size=1 << 18)
        sent = sent.astype(np.complex64).tolist()

        def work() -> None:
            # A top block cannot run twice; it is built in a moment.
            top = gr.top_block()
            source = blocks.vector_source_c(sent, True)
            head = blocks.head(gr.sizeof_gr_complex, num_samples)
            top.connect(connect(top, source), head, blocks.null_sink(gr.sizeof_gr_complex))
            top.run()

        return work

    def with_noise(top: object, faded: object, sigma: float) -> object:
        # GNU Radio's own fading models use this source too: it recycles a pool of samples. Its
        # amplitude is per real dimension.
        noise = analog.fastnoise_source_c(analog.GR_GAUSSIAN, sigma / 2**0.5, 1)
        total = blocks.add_cc()
        top.connect(faded, (total, 0))
        top.connect(noise, (total, 1))
        return total

    def channel_model(
        num_samples: int, lags: Sequence[int], gains: Sequence[float], sigma: float
    ) -> Work:
        taps = [0.0] * (max(lags) + 1)
        for lag, gain in zip(lags, gains, strict=True):
            taps[lag] = gain

        def connect(top: object, source: object) -> object:
            channel = channels.channel_model(sigma, 0.0, 1.0, taps, 1)
            top.connect(source, channel)
            return channel

        return flowgraph(num_samples, connect)

    def selective_fading(
        num_samples: int,
        lags: Sequence[float],
        gains: Sequence[float],
        sigma: float,
        doppler_rate: float,
    ) -> Work:
        def connect(top: object, source: object) -> object:
            num_taps = int(max(lags)) + 1
            channel = channels.selective_fading_model(
                sinusoids, doppler_rate, False, 0.0, 1, lags, gains, num_taps
            )
            top.connect(source, channel)
            return with_noise(top, channel, sigma)

        return flowgraph(num_samples, connect)

    def dynamic_channel(
        num_samples: int,
        lags: Sequence[float],
        gains: Sequence[float],
        sigma: float,
        doppler_rate: float,
    ) -> Work:
        def connect(top: object, source: object) -> object:
            # At a sample rate of 1 Hz, the Doppler frequency is the one per sample.
            channel = channels.dynamic_channel_model(
                1.0, 0.0, 0.0, 0.0, 0.0, sinusoids, doppler_rate, False, 0.0,
                lags, gains, int(max(lags)) + 1, sigma, 1,
            )  # fmt: skip
            top.connect(source, channel)
            return channel

        return flowgraph(num_samples, connect)

    def flat_fading(
        num_samples: int,
        lags: Sequence[int],
        gains: Sequence[float],
        sigma: float,
        doppler_rate: float,
    ) -> Work:
        def connect(top: object, source: object) -> object:
            total = blocks.add_cc()
            for path, (lag, gain) in enumerate(zip(lags, gains, strict=True)):
                late = blocks.delay(gr.sizeof_gr_complex, lag)
                fading = channels.fading_model(sinusoids, doppler_rate, False, 0.0, path)
                scaled = blocks.multiply_const_cc(gain)
                top.connect(source, late, fading, scaled, (total, path))
            return with_noise(top, total, sigma)

        return flowgraph(num_samples, connect)

    def file_sink(num_samples: int, path: str) -> Work:
        words = list(range(-(1 << 15), 1 << 15)) * 4

        def work() -> None:
            top = gr.top_block()
            source = blocks.vector_source_s(words, True, 2)
            size = 2 * gr.sizeof_short
            sink = blocks.file_sink(size, path, False)
            top.connect(source, blocks.head(size, num_samples), sink)
            top.run()
            sink.close()

        return work

    def psk_receiver(num_samples: int, path: str, samples_per_symbol: int, rolloff: float) -> Work:
        received = np.fromfile(path, np.complex64).tolist()
        phases = 32
        pulse = filter.firdes.root_raised_cosine(
            phases, phases * samples_per_symbol, 1.0, rolloff, 16 * phases * samples_per_symbol + 1
        )
        points = digital.constellation_8psk_natural().base()

        def work() -> None:
            top = gr.top_block()
            decided = gr.sizeof_char
            # Matched filter and symbol clock, one sample a symbol; then equaliser, carrier, points.
            adapt = digital.adaptive_algorithm_cma(points, 1e-3, 1).base()
            top.connect(
                blocks.vector_source_c(received, True),
                blocks.head(gr.sizeof_gr_complex, num_samples),
                digital.pfb_clock_sync_ccf(
                    samples_per_symbol, 0.02, pulse, phases, phases / 2, 1.5, 1
                ),
                digital.linear_equalizer(11, 1, adapt, True, [], ""),
                digital.costas_loop_cc(0.02, 8),
                digital.constellation_decoder_cb(points),
                blocks.null_sink(decided),
            )
            top.run()

        return work

    return gr.version(), {
        "psk_receiver": psk_receiver,
        "channel_model": channel_model,
        "selective_fading": selective_fading,
        "dynamic_channel": dynamic_channel,
        "flat_fading": flat_fading,
        "file_sink": file_sink,
    }


if __name__ == "__main__":
    answer(load)
