"""Streaming kernels of the multipath: planar float32 in, planar float32 out, one chunk at a time.

Two ways to the same sum, y[n] = sum over p of g_p(n) (h_p * x)[n]; the stream takes the cheaper:

* by lag:  y[n] = sum over k of c_k(n) x[n - k],  c_k = sum over p of g_p h_p[k]   (many paths)
* by path: each path's real filter first, then its gain                            (few paths)

The coefficients move on a straight line: c(n) = c0 + dc * t, t the share of the interval gone.
Every kernel works on whole vectors: it may read and write up to 63 samples more than asked for.
"""

from typing import Any

from phyemu.channel.kernel_math import F4, I4, inline, kernel
from phyemu.channel.simd import LANES, broadcast, load, multiply_add, ramp, store

__all__ = ["multipath_by_lag", "multipath_by_path", "multipath_held"]


@kernel
def multipath_held(
    yr: Any, yi: Any, xr: Any, xi: Any, start: int, count: int, lags: Any, re: Any, im: Any
) -> None:
    """Write y for `count` samples with fixed coefficients, by lag.

    Args:
        yr: Real part of y; yi: imaginary part.
        xr: Real part of x with its history: sample 0 lies at `start`; xi: imaginary part.
        lags: Lags k >= 0, (K,).
        re: Coefficients, (K,), with im.
    """
    for i in range(0, count, 2 * LANES):
        ar = broadcast(F4(0))
        ai = ar
        br = ar
        bi = ar
        for k in range(len(lags)):
            n = start + i - lags[k]
            cr = broadcast(re[k])
            ci = broadcast(im[k])
            minus = broadcast(-im[k])
            x = load(xr, n)
            ar = multiply_add(cr, x, ar)
            ai = multiply_add(ci, x, ai)
            x = load(xi, n)
            ar = multiply_add(minus, x, ar)
            ai = multiply_add(cr, x, ai)
            x = load(xr, n + LANES)
            br = multiply_add(cr, x, br)
            bi = multiply_add(ci, x, bi)
            x = load(xi, n + LANES)
            br = multiply_add(minus, x, br)
            bi = multiply_add(cr, x, bi)
        store(yr, i, ar)
        store(yi, i, ai)
        store(yr, i + LANES, br)
        store(yi, i + LANES, bi)


@kernel
def multipath_by_lag(
    yr: Any,
    yi: Any,
    xr: Any,
    xi: Any,
    start: int,
    count: int,
    lags: Any,
    re: Any,
    im: Any,
    dre: Any,
    dim: Any,
    first: int,
    scale: Any,
) -> None:
    """Write y for `count` samples of one interval, by lag; arguments beside `multipath_held`'s:

    Args:
        re: Coefficients at the interval's begin, (K,), with im, and their rise dre, dim.
        first: Place of sample 0 in its interval.
        scale: One over the interval's length, float32.
    """
    for i in range(0, count, 2 * LANES):
        # The sums with the coefficients at the begin, and with their rises.
        ar = broadcast(F4(0))
        ai = ar
        br = ar
        bi = ar
        t = ramp(I4(first + i), scale)
        u = ramp(I4(first + i + LANES), scale)
        for k in range(len(lags)):
            n = start + i - lags[k]
            rise_r = broadcast(dre[k])
            rise_i = broadcast(dim[k])
            begin_r = broadcast(re[k])
            begin_i = broadcast(im[k])
            fall_i = broadcast(-dim[k])
            minus_i = broadcast(-im[k])
            x = load(xr, n)
            c = multiply_add(rise_r, t, begin_r)
            ar = multiply_add(c, x, ar)
            ai = multiply_add(multiply_add(rise_i, t, begin_i), x, ai)
            x = load(xi, n)
            ar = multiply_add(multiply_add(fall_i, t, minus_i), x, ar)
            ai = multiply_add(c, x, ai)
            x = load(xr, n + LANES)
            c = multiply_add(rise_r, u, begin_r)
            br = multiply_add(c, x, br)
            bi = multiply_add(multiply_add(rise_i, u, begin_i), x, bi)
            x = load(xi, n + LANES)
            br = multiply_add(multiply_add(fall_i, u, minus_i), x, br)
            bi = multiply_add(c, x, bi)
        store(yr, i, ar)
        store(yi, i, ai)
        store(yr, i + LANES, br)
        store(yi, i + LANES, bi)


@inline
def _weighted(
    re: Any,
    im: Any,
    dre: Any,
    dim: Any,
    p: int,
    t: Any,
    xr: Any,
    xi: Any,
    yr: Any,
    yi: Any,
) -> Any:
    """Return y + g x of path p, its gain at the share t of the interval."""
    g = multiply_add(broadcast(dre[p]), t, broadcast(re[p]))
    quadrature = multiply_add(broadcast(dim[p]), t, broadcast(im[p]))
    minus = multiply_add(broadcast(-dim[p]), t, broadcast(-im[p]))
    return (
        multiply_add(minus, xi, multiply_add(g, xr, yr)),
        multiply_add(quadrature, xr, multiply_add(g, xi, yi)),
    )


@kernel
def multipath_by_path(
    yr: Any,
    yi: Any,
    xr: Any,
    xi: Any,
    start: int,
    count: int,
    lags: Any,
    filters: Any,
    re: Any,
    im: Any,
    dre: Any,
    dim: Any,
    first: int,
    scale: Any,
) -> None:
    """Write y for `count` samples of one interval, by path.

    Paths go in pairs: loading x, mostly across two cache lines, costs more than the arithmetic,
    and where the filters of both lie over it, it is loaded once. With taps of lags 0-3 and 2-5:

        lag   0 1 2 3 4 5
        one   x x x x
        other     x x x x

    Args:
        lags: Lag of each path's first filter tap, ascending, (P,), >= 0.
        filters: Real filter of each path, (P, L).
        re: Gains of the paths at the interval's begin, (P,), with im, and their rise dre, dim;
            the other arguments as in `multipath_by_lag`.
    """
    num_paths, num_taps = filters.shape
    for i in range(0, count, 4 * LANES):
        t = ramp(I4(first + i), scale)
        u = ramp(I4(first + i + LANES), scale)
        v = ramp(I4(first + i + 2 * LANES), scale)
        w = ramp(I4(first + i + 3 * LANES), scale)
        zero = broadcast(F4(0))
        ar = zero
        ai = zero
        br = zero
        bi = zero
        cr = zero
        ci = zero
        dr = zero
        di = zero
        for p in range(0, num_paths, 2):
            paired = p + 1 < num_paths
            q = p + 1 if paired else p
            apart = min(lags[q] - lags[p], num_taps) if paired else num_taps
            tr = zero
            ti = zero
            ur = zero
            ui = zero
            vr = zero
            vi = zero
            wr = zero
            wi = zero
            n = start + i - lags[p]
            for j in range(apart):
                h = broadcast(filters[p, j])
                tr = multiply_add(h, load(xr, n - j), tr)
                ti = multiply_add(h, load(xi, n - j), ti)
                ur = multiply_add(h, load(xr, n - j + LANES), ur)
                ui = multiply_add(h, load(xi, n - j + LANES), ui)
                vr = multiply_add(h, load(xr, n - j + 2 * LANES), vr)
                vi = multiply_add(h, load(xi, n - j + 2 * LANES), vi)
                wr = multiply_add(h, load(xr, n - j + 3 * LANES), wr)
                wi = multiply_add(h, load(xi, n - j + 3 * LANES), wi)
            er = zero
            ei = zero
            fr = zero
            fi = zero
            gr = zero
            gi = zero
            hr = zero
            hi = zero
            for j in range(apart, num_taps):
                h = broadcast(filters[p, j])
                k = broadcast(filters[q, j - apart])
                x = load(xr, n - j)
                tr = multiply_add(h, x, tr)
                er = multiply_add(k, x, er)
                x = load(xi, n - j)
                ti = multiply_add(h, x, ti)
                ei = multiply_add(k, x, ei)
                x = load(xr, n - j + LANES)
                ur = multiply_add(h, x, ur)
                fr = multiply_add(k, x, fr)
                x = load(xi, n - j + LANES)
                ui = multiply_add(h, x, ui)
                fi = multiply_add(k, x, fi)
                x = load(xr, n - j + 2 * LANES)
                vr = multiply_add(h, x, vr)
                gr = multiply_add(k, x, gr)
                x = load(xi, n - j + 2 * LANES)
                vi = multiply_add(h, x, vi)
                gi = multiply_add(k, x, gi)
                x = load(xr, n - j + 3 * LANES)
                wr = multiply_add(h, x, wr)
                hr = multiply_add(k, x, hr)
                x = load(xi, n - j + 3 * LANES)
                wi = multiply_add(h, x, wi)
                hi = multiply_add(k, x, hi)
            if paired:
                n = start + i - lags[q]
                for j in range(num_taps - apart, num_taps):
                    k = broadcast(filters[q, j])
                    er = multiply_add(k, load(xr, n - j), er)
                    ei = multiply_add(k, load(xi, n - j), ei)
                    fr = multiply_add(k, load(xr, n - j + LANES), fr)
                    fi = multiply_add(k, load(xi, n - j + LANES), fi)
                    gr = multiply_add(k, load(xr, n - j + 2 * LANES), gr)
                    gi = multiply_add(k, load(xi, n - j + 2 * LANES), gi)
                    hr = multiply_add(k, load(xr, n - j + 3 * LANES), hr)
                    hi = multiply_add(k, load(xi, n - j + 3 * LANES), hi)
            ar, ai = _weighted(re, im, dre, dim, p, t, tr, ti, ar, ai)
            br, bi = _weighted(re, im, dre, dim, p, u, ur, ui, br, bi)
            cr, ci = _weighted(re, im, dre, dim, p, v, vr, vi, cr, ci)
            dr, di = _weighted(re, im, dre, dim, p, w, wr, wi, dr, di)
            if paired:
                ar, ai = _weighted(re, im, dre, dim, q, t, er, ei, ar, ai)
                br, bi = _weighted(re, im, dre, dim, q, u, fr, fi, br, bi)
                cr, ci = _weighted(re, im, dre, dim, q, v, gr, gi, cr, ci)
                dr, di = _weighted(re, im, dre, dim, q, w, hr, hi, dr, di)
        store(yr, i, ar)
        store(yi, i, ai)
        store(yr, i + LANES, br)
        store(yi, i + LANES, bi)
        store(yr, i + 2 * LANES, cr)
        store(yi, i + 2 * LANES, ci)
        store(yr, i + 3 * LANES, dr)
        store(yi, i + 3 * LANES, di)
