"""Convolution as a few large matrix products, without a copy for each position of the filter.

The memory of images has the batch innermost: (N, C, H, W) is the shape, and the order in memory is C, H, W, N. So a
shift of the filter by a pixel is a shift by N numbers, all copies are of long runs, and one row of the output is one
matrix product. Arrays in any other order are right, and copied first.
"""

import numpy as np

from dlscratch.functions import Array
from dlscratch.initializers import Initializer, he
from dlscratch.layers.base import Layer, check_sizes


class Convolution(Layer):
    """y_nf(i, j) = b_f + Σ_c Σ_u Σ_v W_fc(u, v) x_nc(s i + u - p, s j + v - p), x being 0 outside of the image

    x (N, C, H, W), W (F, C, K, K), b (F,) -> y (N, F, (H + 2p - K) // s + 1, (W + 2p - K) // s + 1) with stride s and
    pad p. W is drawn from `rng` with the standard deviation that `init` gives for the C K K inputs and F K K outputs of
    a number; b starts at 0. Computed with the columns of the filter unrolled and its rows slid over them, which takes K
    times the memory of x where im2col takes K² times (Cho and Brand 2017; book, chapter 7.4).
    """

    remembers = ("columns", "dy_columns")  # the one for dW, the other as memory to be used again
    columns: Array = None  # type: ignore[assignment]  # until it goes forward
    dy_columns: Array | None = None
    W: Array
    b: Array
    dW: Array
    db: Array

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        *,
        rng: np.random.Generator,
        stride: int = 1,
        pad: int = 0,
        init: Initializer = he,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        check_sizes(self, in_channels, out_channels, size, stride)
        if pad not in range(size):
            raise ValueError(f"Convolution expects a pad from 0 up and less than its size {size}, got {pad}")
        self.stride, self.pad = stride, pad
        W = rng.standard_normal((out_channels, in_channels, size, size), dtype)
        W *= init(in_channels * size**2, out_channels * size**2)
        super().__init__(W=W, b=np.zeros_like(W, shape=(out_channels,)))

    def forward(self, x: Array, out: Array | None = None) -> Array:
        self._check_shape(x)
        self.columns = _unroll(batch_innermost(x), self.W, self.stride, self.pad, self.columns)
        return self._convolve(self.columns, x, out)

    def predict(self, x: Array) -> Array:
        self._check_shape(x)
        return self._convolve(_unroll(batch_innermost(x), self.W, self.stride, self.pad), x)

    def _convolve(self, columns: Array, x: Array, out: Array | None = None) -> Array:
        y = _correlate(columns, self.W, self.stride, out)
        y += self.b.reshape(-1, 1, 1)
        return y

    def backward_params(self, dy: Array, x: Array, y: Array) -> None:
        F, C, K, _ = self.W.shape
        products = np.matmul(_rows(dy), _windows(self.columns, self.W, self.stride).transpose(0, 2, 1))
        self.dW[...] = products.sum(axis=0).reshape(F, K, C, K).transpose(0, 2, 1, 3)
        dy.sum(axis=(0, 2, 3), out=self.db)

    def backward(self, dy: Array, x: Array, y: Array, out: Array | None = None) -> Array:
        """dx is dy, with s - 1 zeros between its numbers, under the filters turned by 180°, F and C having swapped."""
        N, _, H, W = x.shape
        turned = self.W[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        K, margin = turned.shape[-1], 2 * self.pad - turned.shape[-1] + 1
        if self.stride > 1:
            spread = np.zeros_like(dy, shape=(N, len(self.W), H + margin, W + margin))
            spread[:, :, :: self.stride, :: self.stride] = dy
            dy = spread
        self.dy_columns = _unroll(batch_innermost(dy), turned, 1, K - 1 - self.pad, self.dy_columns)
        return _correlate(self.dy_columns, turned, 1, out)

    def _check_shape(self, x: Array) -> None:
        _, C, K, _ = self.W.shape
        if x.ndim != 4 or x.shape[1] != C or min(x.shape[2:]) + 2 * self.pad < K:
            hint = "; make images of flat rows with Reshape first" if x.ndim == 2 else ""
            raise ValueError(
                f"{self} expects x of shape (N, {C}, H, W), H and W at least {K - 2 * self.pad}, got {x.shape}{hint}"
            )

    def __repr__(self) -> str:
        F, C, K, _ = self.W.shape
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        return f"Convolution({C} -> {F}, {K}x{K}{stride}" + (f", pad {self.pad})" if self.pad else ")")


def batch_innermost(x: Array) -> Array:
    """x (N, C, H, W), or a copy if the numbers of one pixel, channel and batch do not lie side by side in memory."""
    return x if x.strides[0] == x.itemsize else x.transpose(1, 2, 3, 0).copy().transpose(3, 0, 1, 2)


def _unroll(x: Array, filters: Array, stride: int, pad: int, out: Array | None = None) -> Array:
    """columns (H + 2p, C, K, J, N): what each column v of a filter sees at each of its J places in a row."""
    (N, C, H, W), K = x.shape, filters.shape[-1]
    shape = (H + 2 * pad, C, K, (W + 2 * pad - K) // stride + 1, N)
    if out is None or type(out) is not type(x) or out.shape != shape or out.dtype != x.dtype:
        out = np.zeros_like(x, shape=shape)  # zeros stay in the rows of the margin
    rows = x.transpose(2, 1, 3, 0)
    for v in range(K):
        first, last = -(-max(0, pad - v) // stride), min(shape[3] - 1, (W - 1 + pad - v) // stride)
        out[:, :, v, :first] = out[:, :, v, last + 1 :] = 0  # images of other widths may have as many places
        start = stride * first + v - pad
        out[pad : pad + H, :, v, first : last + 1] = rows[:, :, start : stride * last + v - pad + 1 : stride]
    return out


def _windows(columns: Array, filters: Array, stride: int) -> Array:
    """A view (I, K C K, J N) of columns: all that the filters see at each of their I places down the image."""
    _, C, K, J, N = columns.shape
    slid = np.lib.stride_tricks.sliding_window_view(columns, K, axis=0)[::stride]
    return slid.transpose(0, 5, 1, 2, 3, 4).reshape(len(slid), K * C * K, J * N)


def _rows(y: Array) -> Array:
    """y (N, F, I, J) as (I, F, J N): a view where the batch is innermost."""
    N, F, rows, J = y.shape
    return y.transpose(2, 1, 3, 0).reshape(rows, F, J * N)


def _correlate(columns: Array, filters: Array, stride: int, out: Array | None) -> Array:
    """What the filters (F, C, K, K) make of columns, (N, F, I, J): one matrix product for each row of the output."""
    windows, (F, _, _, _), (J, N) = _windows(columns, filters, stride), filters.shape, columns.shape[3:]
    y = out
    if y is None:
        batch_last = np.empty_like(columns, shape=(F, len(windows), J, N))
        y = np.empty_like(batch_last.transpose(3, 0, 1, 2))  # of the same order in memory, and no view
    rows = _rows(y)
    np.matmul(filters.transpose(0, 2, 1, 3).reshape(F, -1), windows, out=rows)
    if not np.may_share_memory(rows, y):
        y.transpose(2, 1, 3, 0)[...] = rows.reshape(len(windows), F, J, N)
    return y
