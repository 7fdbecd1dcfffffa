"""More rows for ``numpy_calls``: statistics, arrangement, selection, writes, linear algebra, transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

EXACT: dict[Any, str] = {
    # ---- statistics
    np.median: """
        np.median(x); np.median(x, 0); np.median(x, axis=1, keepdims=True); np.median(t, (0, 2));
        np.median(n, 0); np.median(nan[:2]); np.median(single, 1); np.median(x, out=new(x, shape=()))
    """,
    np.nanmax: "np.nanmax(nan[1:]); np.nanmax(x, 0); np.nanmax(holes, axis=1, keepdims=True)",
    np.nanmin: "np.nanmin(holes); np.nanmin(holes, 1); np.nanmin(n, 0)",
    np.nanargmax: "np.nanargmax(holes, 1); np.nanargmax(x)",
    np.nanargmin: "np.nanargmin(holes, 1); np.nanargmin(x, axis=0)",
    np.nansum: "np.nansum(holes); np.nansum(holes, 0, keepdims=True); np.nansum(n)",
    np.nanprod: "np.nanprod(holes, 1); np.nanprod(holes)",
    np.nancumsum: "np.nancumsum(holes); np.nancumsum(holes, axis=1)",
    np.nancumprod: "np.nancumprod(holes, axis=1); np.nancumprod(v)",
    np.nanmean: "np.nanmean(holes); np.nanmean(holes, 1); np.nanmean(n, 0); np.nanmean(holes, 0, where=mask)",
    np.nanvar: "np.nanvar(holes, 1); np.nanvar(holes, ddof=1); np.nanvar(x, 0)",
    np.nanstd: "np.nanstd(holes, 1); np.nanstd(x, axis=0, ddof=1)",
    np.cumulative_sum: """
        np.cumulative_sum(v); np.cumulative_sum(x, axis=1);
        np.cumulative_sum(x, axis=0, include_initial=True)
    """,
    np.cumulative_prod: "np.cumulative_prod(q); np.cumulative_prod(p, axis=1, include_initial=True)",
    # ---- differences
    np.ediff1d: "np.ediff1d(x); np.ediff1d(v, to_end=[1.0, 2.0]); np.ediff1d(v, w, 0.5); np.ediff1d(n)",
    np.trapezoid: """
        np.trapezoid(v); np.trapezoid(x, dx=0.1); np.trapezoid(x, up); np.trapezoid(x, axis=0);
        np.trapezoid(x, np.cumsum(p, 1)); np.trapezoid(n)
    """,
    np.interp: """
        np.interp(x, up, v); np.interp(x, up, v, left=-1.0, right=2.0); np.interp(0.3, up, v);
        np.interp([0.15, 0.2, 5.0], up, v); np.interp(up, up, v)
    """,
    np.polyval: "np.polyval(v, x); np.polyval([1, 2, 3], x); np.polyval(v, 0.3); np.polyval([1.0], x)",
    np.polyadd: "np.polyadd(v, w); np.polyadd(w, [1, 2])",
    np.polysub: "np.polysub(v, w); np.polysub([1, 2], w)",
    np.polyder: "np.polyder(v); np.polyder(v, 2)",
    np.polyint: "np.polyint(v); np.polyint(v, 2); np.polyint(v, 1, 3); np.polyint(v, 2, [1, 2])",
    # ---- arrangement
    np.dstack: "np.dstack([x, y]); np.dstack((v, q)); np.dstack([t, t])",
    np.block: "np.block([[x, y], [y, x]]); np.block([v, q]); np.block([[x], [v[None]]]); np.block(x)",
    np.append: "np.append(x, v); np.append(x, v[None], 0); np.append(v, 2.0)",
    np.vsplit: "np.vsplit(x, 3); np.vsplit(t, [1])",
    np.hsplit: "np.hsplit(x, 2); np.hsplit(v, 2)",
    np.dsplit: "np.dsplit(t, 2)",
    np.unstack: "np.unstack(x); np.unstack(t, axis=1)",
    np.meshgrid: """
        np.meshgrid(v, w); np.meshgrid(v, w, indexing='ij'); np.meshgrid(v, w, sparse=True);
        np.meshgrid(v, [1.0, 2.0], w); np.meshgrid(v)
    """,
    np.delete: """
        np.delete(x, 1); np.delete(x, [0, 2], 0); np.delete(x, slice(1, 3), axis=1); np.delete(v, -1)
    """,
    np.insert: """
        np.insert(v, 1, 5.0); np.insert(x, 1, w, axis=1); np.insert(x, [0, 2], v, axis=0);
        np.insert(v, [0, 4], [7.0, 8.0]); np.insert(v, [1, 1], w[:2]); np.insert(x, 2, 0.5);
        np.insert(v, slice(0, 2), [1.0, 2.0]); np.insert(x, [1], w[:, None], axis=1)
    """,
    np.resize: "np.resize(v, (3, 3)); np.resize(x, 5); np.resize(x, (2, 7))",
    np.rot90: "np.rot90(x); np.rot90(x, 2); np.rot90(x, -1); np.rot90(t, 1, (1, 2)); np.rot90(x, 4)",
    np.rollaxis: "np.rollaxis(t, 2); np.rollaxis(t, 0, 3); np.rollaxis(t, 1, -1)",
    np.atleast_3d: "np.atleast_3d(s); np.atleast_3d(v); np.atleast_3d(x); np.atleast_3d(t, v)",
    np.diagflat: "np.diagflat(v); np.diagflat(m, 1)",
    np.lib.stride_tricks.sliding_window_view: """
        np.lib.stride_tricks.sliding_window_view(v, 2); np.lib.stride_tricks.sliding_window_view(x, (2, 3));
        np.lib.stride_tricks.sliding_window_view(t, 2, axis=1)
    """,
    np.vander: "np.vander(v); np.vander(v, 3); np.vander(v, 2, increasing=True); np.vander(k)",
    np.apply_along_axis: """
        np.apply_along_axis(lambda u: u[1:] * u[0], 1, x); np.apply_along_axis(np.sum, 0, x);
        np.apply_along_axis(np.diff, 1, t)
    """,
    np.apply_over_axes: "np.apply_over_axes(np.sum, t, [0, 2])",
    np.tril_indices_from: "m[np.tril_indices_from(m)]; x[np.tril_indices_from(x, -1)]",
    np.triu_indices_from: "m[np.triu_indices_from(m, 1)]",
    np.diag_indices_from: "m[np.diag_indices_from(m)]",
    # ---- selection
    np.select: """
        np.select([x > 0.2, x < -0.2], [x, y]); np.select([mask, b], [x, v], 0.5); np.select([b], [x], y)
    """,
    np.choose: """
        np.choose(k, [v, q, 1.0]); (0 * v + k).astype(int).choose([v, q, v]);
        np.choose(k + 1, [v, q], mode='clip')
    """,
    np.compress: """
        np.compress([True, False, True], x, 0); np.compress([0, 1, 1], x); v.compress([1, 0, 1, 0])
    """,
    np.extract: "np.extract(mask, x); np.extract([1, 0, 1], w)",
    np.searchsorted: """
        np.searchsorted(up, x); np.searchsorted(up, x, side='right'); np.searchsorted(up, up);
        up.searchsorted(0.3); np.searchsorted(up[::-1], v, sorter=[3, 2, 1, 0])
    """,
    np.digitize: "np.digitize(x, [0.0, 0.3]); np.digitize(x, [0.3, 0.0], right=True)",
    np.partition: "np.partition(x, 2)[:, 2]; into(x.copy(), lambda y: y.partition(1))[:, 1]",
    np.argpartition: "x[0][np.argpartition(x[0], 2)[2]]; v[v.argpartition(1)[:2].max()]",
    np.lexsort: "np.lexsort((v, k)); np.lexsort((k, v))",
    np.sort_complex: "np.sort_complex(v)",
    np.isin: "np.isin(n, [1, 2]); np.isin(n, k, invert=True)",
    np.array_equiv: "np.array_equiv(x, x[0]); np.array_equiv(v, v); np.array_equiv(v, w)",
    np.unravel_index: "np.unravel_index(k, (2, 2)); np.unravel_index(k, (2, 2), 'F')",
    np.ravel_multi_index: """
        np.ravel_multi_index((k, k), (3, 4)); np.ravel_multi_index((k, k), (2, 2), 'clip')
    """,
    np.ix_: "x[np.ix_(k[:2], k)]",
    np.put_along_axis: """
        into(x.copy(), lambda y: np.put_along_axis(y, np.argmax(x, 1, keepdims=True), 9.0, axis=1));
        into(x.copy(), lambda y: np.put_along_axis(y, np.array([1, 5]), v[:2], None))
    """,
    # ---- writes
    np.copyto: """
        into(x.copy(), lambda h: np.copyto(h, v)); into(x.copy(), lambda h: np.copyto(h, y, where=h > 0));
        into(new(x), lambda h: np.copyto(h, 2))
    """,
    np.put: """
        into(x.copy(), lambda h: np.put(h, [0, 5], v[:2]));
        into(x.copy().T, lambda h: np.put(h, [1, 2, 3], w[:2]));
        into(x.copy(), lambda h: h.put([1, -1], 3.0)); into(x.copy(), lambda h: np.put(h, [14], v, 'wrap'))
    """,
    np.putmask: """
        into(x.copy(), lambda h: np.putmask(h, h > 0, w)); into(x.copy(), lambda h: np.putmask(h, mask, y))
    """,
    np.fill_diagonal: """
        into(m.copy(), lambda h: np.fill_diagonal(h, 1.0));
        into(x.copy(), lambda h: np.fill_diagonal(h, w));
        into(x.T.copy(), lambda h: np.fill_diagonal(h, 2.0, wrap=True));
        into(m.copy().T, lambda h: np.fill_diagonal(h, w))
    """,
    # ---- of the type, and new arrays
    np.can_cast: """
        np.array(np.can_cast(single, float)) if 0 else np.zeros(1 + np.can_cast(np.float32, x.dtype))
    """,
    np.common_type: "np.zeros(2, np.common_type(x, single))",
    np.min_scalar_type: "np.zeros(1, np.min_scalar_type(x))",
    np.iscomplex: "np.iscomplex(x); np.iscomplex(x + 0j)",
    np.isreal: "np.isreal(x); np.isreal(x * 1j); x.to_device(x.device)",
    np.real_if_close: "np.real_if_close(x)",
    np.einsum_path: "np.zeros(len(np.einsum_path('ij,kj->ik', x, y)[0]))",
    np.array: "np.array([x, y], like=x); np.array([v[0], 2.0], like=v); np.array(v, like=v, ndmin=3)",
    np.asarray: "np.asarray([[v[0]], [v[1]]], like=v); np.asarray(x, like=x)",
    np.asanyarray: "np.asanyarray(x, like=x)",
    np.ascontiguousarray: "np.ascontiguousarray(x.T, like=x)",
    np.asfortranarray: "np.asfortranarray(x, like=x)",
    np.astype: "np.astype(x, np.float32); np.astype(n, float)",
    np.tri: "np.tri(3, like=x); np.tri(3, 2, 1, like=x)",
    # ---- ufuncs made of others
    np.heaviside: "np.heaviside(x, 0.5); np.heaviside(n, v); np.heaviside(nan, 1.0)",
    np.ldexp: "np.ldexp(x, 3); np.ldexp(v, k); np.ldexp(single, k)",
    np.fix: "np.fix(x * 3)",
    np.isneginf: "np.isneginf(nan)",
    np.isposinf: "np.isposinf(nan)",
    np.flip: "np.subtract.reduce(v); np.logaddexp.reduce(x, axis=1); np.maximum.accumulate(x, 1)",
    np.fliplr: "np.maximum.reduceat(v, [0, 2, 1]); np.hypot.reduce(x, axis=(0, 1)); np.minimum.accumulate(v)",
}  # fmt: skip

NEAR: dict[Any, str] = {
    np.quantile: """
        np.quantile(x, 0.3); np.quantile(x, [0.1, 0.5, 1.0], axis=0); np.quantile(x, 0.7, 1, keepdims=True);
        np.quantile(v, 0.4, method='lower'); np.quantile(v, 0.4, method='higher');
        np.quantile(v, 0.4, method='midpoint'); np.quantile(v, 0.45, method='nearest');
        np.quantile(v, 0.3, method='hazen'); np.quantile(v, 0.3, method='weibull');
        np.quantile(v, [0.1, 0.9], method='median_unbiased'); np.quantile(v, 0.5, method='normal_unbiased');
        np.quantile(v, 0.5, method='interpolated_inverted_cdf'); np.quantile(v, 0.6, method='inverted_cdf');
        np.quantile(nan[:2], 0.5)
    """,
    np.percentile: "np.percentile(x, 30); np.percentile(x, [25, 75], axis=1); np.percentile(single, 40)",
    np.nanquantile: "np.nanquantile(holes, 0.3, axis=1); np.nanquantile(holes, [0.2, 0.9])",
    np.nanpercentile: "np.nanpercentile(holes, 30, axis=0, keepdims=True)",
    np.nanmedian: "np.nanmedian(holes); np.nanmedian(holes, 1)",
    np.cov: """
        np.cov(x); np.cov(x, rowvar=False); np.cov(v, q); np.cov(x, bias=True); np.cov(x, ddof=0);
        np.cov(v); np.cov(x, aweights=q); np.cov(x, fweights=[1, 2, 1, 3]); np.cov(x, y)
    """,
    np.corrcoef: "np.corrcoef(x); np.corrcoef(v, q); np.corrcoef(x, rowvar=False)[0, 1]",
    np.gradient: """
        np.gradient(v); np.gradient(x); np.gradient(x, 0.5, axis=1); np.gradient(v, up);
        np.gradient(x, 0.1, 0.2); np.gradient(v, edge_order=2); np.gradient(v, up, edge_order=2);
        np.gradient(x, [1.0, 2.0, 4.0], up); np.gradient(n, axis=0)
    """,
    np.unwrap: "np.unwrap(x * 20); np.unwrap(x * 5, axis=0); np.unwrap(v * 9, period=1.5)",
    np.poly: "np.poly(v)",
    np.polyfit: "np.polyfit(up, v, 1); np.polyfit(up, v, 2, w=q); np.polyfit(up, x.T, 1)",
    np.convolve: """
        np.convolve(v, w); np.convolve(v, w, 'same'); np.convolve(v, w, 'valid'); np.convolve(w, v, 'same');
        np.convolve(v, [1.0, 2.0]); np.convolve(v, w[:2], 'same')
    """,
    np.correlate: """
        np.correlate(v, w); np.correlate(v, w, 'same'); np.correlate(v, w, 'full');
        np.correlate(w, v, 'full'); np.correlate(w, v, 'same'); np.correlate(w, v);
        np.correlate(w[:2], v, 'same'); np.correlate(v, w[:2], 'same')
    """,
    np.linspace: """
        np.linspace(s, 2.0, 5); np.linspace(v, q, 4); np.linspace(0.0, s, 3, endpoint=False);
        np.linspace(v, 1.0, 3, axis=1); np.linspace(s, 1.0, 4, retstep=True); np.linspace(s, 3.0, 1)
    """,
    np.logspace: "np.logspace(s, 2.0, 4); np.logspace(v, 1.0, 3, base=2.0)",
    np.geomspace: "np.geomspace(q, 3.0, 4); np.geomspace(s, 2.0, 5)",
    np.interp: "np.interp(x, [0.1, 0.5, 0.8], w, period=1.0)",
    np.vecdot: "np.vecdot(x, y); np.vecdot(t, v); np.vecdot(x, y, axis=0)",
    np.matvec: "np.matvec(x, v); np.matvec(t, v); np.matvec(t, x[:2])",
    np.vecmat: "np.vecmat(w, x); np.vecmat(w, t)",
    np.cross: "np.cross(w, m); np.cross(m, m[::-1], axis=0); np.cross(m, w, axisc=0)",
    np.angle: "np.angle(x + 1j * y); np.angle(x + 1j * y, deg=True); np.angle(p)",
    # ---- linear algebra
    np.linalg.solve: "np.linalg.solve(a, w); np.linalg.solve(a, x); np.linalg.solve(a[None], t[:, :3])",
    np.linalg.inv: "np.linalg.inv(a); np.linalg.inv(np.stack([a, 2 * a]))",
    np.linalg.pinv: "np.linalg.pinv(x); np.linalg.pinv(x.T); np.linalg.pinv(t); np.linalg.pinv(a, 1e-9)",
    np.linalg.slogdet: "np.linalg.slogdet(a); np.linalg.slogdet(-a)",
    np.linalg.lstsq: "np.linalg.lstsq(x, w)",
    np.linalg.tensorsolve: """
        np.linalg.tensorsolve(np.reshape(bigger, (3, 2, 6)), np.reshape(x, (2, 6))[0].reshape(3, 2))
    """,
    np.linalg.tensorinv: "np.linalg.tensorinv(np.reshape(bigger, (2, 3, 6)), ind=2)",
    np.linalg.matrix_power: """
        np.linalg.matrix_power(a, 3); np.linalg.matrix_power(a, -2); np.linalg.matrix_power(a, 0);
        np.linalg.matrix_power(a, 1); np.linalg.matrix_power(np.stack([a, m]), 5)
    """,
    np.linalg.multi_dot: "np.linalg.multi_dot([x, y.T, m]); np.linalg.multi_dot([w, x, v])",
    np.linalg.cholesky: "np.linalg.cholesky(a @ a.T); np.linalg.cholesky(a @ a.T, upper=True)",
    np.linalg.eigh: "np.linalg.eigh(a + a.T)[0]; np.linalg.eigh(a + a.T, 'U').eigenvalues",
    np.linalg.eigvalsh: "np.linalg.eigvalsh(a); np.linalg.eigvalsh(a, 'U')",
    np.linalg.svd: """
        np.linalg.svd(x, compute_uv=False); np.linalg.svd(a).S; np.linalg.svd(x, full_matrices=False).U ** 2
    """,
    np.linalg.svdvals: "np.linalg.svdvals(x); np.linalg.svdvals(t)",
    np.linalg.qr: """
        np.linalg.qr(x.T); np.linalg.qr(x); np.linalg.qr(a, 'complete').R; np.linalg.qr(t, mode='r')
    """,
    np.linalg.norm: """
        np.linalg.norm(x, 2); np.linalg.norm(x, -2); np.linalg.norm(x, 'nuc'); np.linalg.norm(x, 1);
        np.linalg.norm(x, -1); np.linalg.norm(x, np.inf); np.linalg.norm(x, -np.inf, keepdims=True);
        np.linalg.norm(t, 'nuc', (0, 2)); np.linalg.norm(t, 1, (2, 1), keepdims=True);
        np.linalg.norm(x + 1j * y)
    """,
    np.linalg.matrix_norm: "np.linalg.matrix_norm(t); np.linalg.matrix_norm(x, ord=2, keepdims=True)",
    np.linalg.vector_norm: """
        np.linalg.vector_norm(t); np.linalg.vector_norm(t, axis=(0, 2), ord=3);
        np.linalg.vector_norm(x, axis=1, keepdims=True)
    """,
    np.linalg.cond: "np.linalg.cond(a); np.linalg.cond(a, 1); np.linalg.cond(x); np.linalg.cond(a, -2)",
    np.linalg.matrix_rank: "np.linalg.matrix_rank(x); np.linalg.matrix_rank(a); np.linalg.matrix_rank(v)",
    np.linalg.diagonal: "np.linalg.diagonal(t, offset=1)",
    np.linalg.trace: "np.linalg.trace(t); np.linalg.trace(m, offset=1)",
    np.linalg.cross: "np.linalg.cross(w, m)",
    np.linalg.matrix_transpose: "np.linalg.matrix_transpose(t)",
    # ---- Fourier transforms: real parts and sizes
    np.fft.fft: """
        np.fft.fft(x); np.fft.fft(x, 6, 0); np.fft.fft(v, norm='ortho'); np.fft.fft(t, 3, norm='forward')
    """,
    np.fft.ifft: "np.fft.ifft(x); np.fft.ifft(x + 1j * y, 2); np.fft.ifft(v, norm='forward')",
    np.fft.rfft: "np.abs(np.fft.rfft(x)) ** 2; np.fft.rfft(w); np.fft.rfft(x, 7, axis=0)",
    np.fft.irfft: """
        np.fft.irfft(x); np.fft.irfft(x, 5); np.fft.irfft(x + 1j * y, axis=0); np.fft.irfft(v, 12);
        np.fft.irfft(v, 1)
    """,
    np.fft.hfft: "np.fft.hfft(x + 1j * y); np.fft.hfft(v, 5)",
    np.fft.ihfft: "np.fft.ihfft(v).real; np.fft.ihfft(x, 6, 0)",
    np.fft.fftn: "np.fft.fftn(x).imag; np.fft.fftn(t, axes=(0, 2)); np.fft.fftn(t, (2, 2), (1, 2))",
    np.fft.ifftn: "np.fft.ifftn(t).real; np.fft.ifftn(x, norm='ortho')",
    np.fft.rfftn: "np.fft.rfftn(t).real; np.fft.rfftn(x, axes=(1, 0))",
    np.fft.irfftn: "np.fft.irfftn(t); np.fft.irfftn(x + 1j * y, (3, 5), (0, 1))",
    np.fft.fft2: "np.fft.fft2(t).real; np.fft.fft2(x, (2, 3))",
    np.fft.ifft2: "np.fft.ifft2(x).imag",
    np.fft.rfft2: "np.fft.rfft2(x).real",
    np.fft.irfft2: "np.fft.irfft2(x + 1j * y)",
    np.fft.fftshift: "np.fft.fftshift(v); np.fft.fftshift(x, 1)",
    np.fft.ifftshift: "np.fft.ifftshift(w); np.fft.ifftshift(x, (0,))",
}  # fmt: skip

# What depends on values in its shape or its course: under ``grad``, not under ``compile``.
BY_VALUE: dict[Any, str] = {
    np.polymul: "np.polymul(v, w); np.polymul([1.0, 2.0], w); np.polymul([0.0, 1.0], w)",
    np.polydiv: "np.polydiv(v, w[:2]); np.polydiv(v, [2.0, 1.0]); np.polydiv(v, v)",
    np.bincount: "np.bincount(k); np.bincount(k, q); np.bincount(k, minlength=6); np.bincount(k, v, 5)",
    np.piecewise: """
        np.piecewise(x, [x < 0, x >= 0], [lambda u: -u, lambda u: u * u]);
        np.piecewise(x, [x > 0], [lambda u: 2 * u, 0.25]); np.piecewise(v, v > 0, [1.0, np.sin])
    """,
    np.place: """
        into(x.copy(), lambda h: np.place(h, h > 0, w)); into(x.copy(), lambda h: np.place(h, mask, v))
    """,
    np.linalg.lstsq: """
        np.linalg.lstsq(x.T, v); np.linalg.lstsq(x.T, q[:, None], rcond=None); np.linalg.lstsq(x.T, x.T)[0]
    """,
    np.trim_zeros: "np.trim_zeros(np.where(x[0] > 0.1, x[0], 0)); np.trim_zeros(v, 'f')",
    np.flatnonzero: "v[np.flatnonzero(v > 0)]",
    np.argwhere: "x[tuple(np.argwhere(x > 0).T)]; np.argwhere(b)",
    np.nonzero: "x[np.nonzero(x > 0)]; np.nonzero(n)",
    np.flipud: """
        into(v.copy(), lambda h: np.multiply.at(h, [0, 0, 1], q[:3]));
        into(v.copy(), lambda h: np.negative.at(h, k));
        into(x.copy(), lambda h: np.maximum.at(h, (slice(None), [0, 0]), y[:, :2]));
        into(v.copy(), lambda h: np.add.at(h, [0, 0], 1.0));
        into(v.copy(), lambda h: np.subtract.at(h, k, q))
    """,
}  # fmt: skip
