"""How well the delays are known: the curvature of the likelihood, and how frames scatter about it.

About the fitted delays tau, a frame's response is H = A(tau) x + e, and to first order a shift of
delay p adds x_p d_p with d_p = dA/dtau_p. What the gains cannot absorb of that, u_np = x_np Q d_p
with Q the projection across A, gives per frame the score s_np = Re(u_np^H r_n) of the residual r_n
and the information I_pq = sum_n Re(u_np^H u_nq). The covariance of the delays is the sandwich
I^-1 (sum_n s_n s_n^T) I^-1 (Huber 1967): it holds when the noise is other than stated, too.
"""

import math

import numpy as np
from scipy import special

from phyemu.fitting.interval import Interval
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.path_gains import PathGains
from phyemu.sounding.path_problem import steering_vectors

__all__ = ["delay_intervals"]


def delay_intervals(frames: LinkFrames, paths: PathGains) -> tuple[Interval, ...]:
    """Return the delay of each path after the first with its 95 % confidence interval [s].

    The first path's is 0 by definition. Delays are taken as resolved: paths closer than the band
    can tell apart are one path here, whose delay is that of their sum.

    Args:
        frames: Frames of a link, (N, F).
        paths: Their gains at the fitted delays, drift not undone.
    """
    num_paths, delays_s = paths.num_paths, paths.delays_s
    level = frames.noise_variance.mean(axis=1)
    shape = np.sqrt((frames.noise_variance / level[:, None]).mean(axis=0))
    vectors = steering_vectors(frames.frequencies_hz, delays_s) / shape[:, None]
    slopes = (-2j * np.pi * frames.frequencies_hz)[:, None] * vectors
    basis = np.linalg.qr(vectors)[0]
    slopes = slopes - basis @ (basis.conj().T @ slopes)
    white = frames.transfer / shape
    residual = white - (white @ basis.conj()) @ basis.T
    gains = paths.gains / np.sqrt(level)[:, None]
    score = (gains.conj() * ((residual / np.sqrt(level)[:, None]) @ slopes.conj())).real
    information = ((slopes.conj().T @ slopes) * (gains.T.conj() @ gains)).real
    inverse = np.linalg.pinv(information, hermitian=True)
    # N scores about their mean: with few frames their scatter is itself uncertain (Student's t).
    freedom = max(len(score) - 1, 1)
    covariance = inverse @ (score.T @ score) @ inverse * (len(score) / freedom)
    wide = float(special.stdtrit(freedom, 0.975))
    intervals = [Interval(value=0.0, low=0.0, high=0.0)]
    for path in range(1, num_paths):
        variance = covariance[path, path] + covariance[0, 0] - 2.0 * covariance[path, 0]
        half = wide * math.sqrt(max(float(variance), 0.0))
        value = float(delays_s[path] - delays_s[0])
        intervals.append(Interval(value=value, low=value - half, high=value + half))
    return tuple(intervals)
