"""How long a signal resembles itself: what decides whether moved signals show what chance reaches.

Values that lie close together in time are alike, so a text holds fewer independent values of a slow neuron than it has
steps. The memory of a signal is the number of steps per independent value. For stationary noise it is the sum of the
squared autocorrelation over all lags: 1 for white noise, and about the time in which the correlation falls to 1/e for
noise that forgets exponentially.

A season would resemble itself for ever. Its lines in the spectrum are therefore lowered to what is around them: what
has a period counts as remembered only as long as its remainder is.

`M` place of one half, `N` neuron, `F` frequency.

Source: Bartlett, "Some aspects of the time-correlation problem" (1935), for the squared autocorrelation; Blackman and
Tukey, "The measurement of power spectra" (1958), for its form as an equivalent width of the spectrum.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

MAX_MEANS = 2048  # into which the values are averaged: frequencies above are not needed, since seasons are lowered
LINE_GAP = 3  # frequencies beside a line that belong to the line
LINE_NEIGHBOURS = 8  # frequencies on each side that say how high the spectrum is around a line
LINE_HEIGHT = 30.0  # times the median around it: noise is as high at one of a billion frequencies
EXPONENTIAL_MEDIAN = float(np.log(2))  # of the power of noise with mean 1


def memories(ranks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the memory of each neuron in steps, at least 1, (N,).

    Args:
        ranks: the centred ranks of neurons at neighbouring places, (N, M).
    """
    neurons, count = ranks.shape
    width = max(1, -(-count // MAX_MEANS))
    number = count // width
    if number < 2:
        return np.ones(neurons)
    squares = np.zeros(neurons)
    for start in range(0, count, MAX_MEANS):
        part = ranks[:, start : start + MAX_MEANS]
        squares += np.einsum("nm,nm->n", part, part)
    variance = squares / count
    means = ranks[:, : number * width].reshape(neurons, number, width).mean(2).astype(np.float64)
    power = np.abs(np.fft.rfft(means - means.mean(1, keepdims=True))[:, 1:].T) ** 2
    # The power of noise at a frequency has an exponential distribution, whose mean square is twice its squared mean.
    squared_correlations = (_without_lines(power) ** 2).sum(0) * width / number**3
    return np.maximum(1.0, squared_correlations / np.where(variance > 0, variance, np.inf) ** 2)


def _without_lines(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a spectrum (F, N) with its lines lowered to what is around them.

    A line is far above the higher one of the medians on its two sides, so that a slope is no line. The lowest
    frequencies have no left side: what has fewer than about ten periods in a half of the text is no season.
    """
    reach = LINE_GAP + LINE_NEIGHBOURS
    if len(power) <= 2 * reach:
        return power
    # A median is at least the minimum, so only what is far above the minima on both sides may be a line.
    windows = sliding_window_view(power, LINE_NEIGHBOURS, axis=0)
    minima = power
    for step in (1, 2, 4):
        minima = np.minimum(minima[:-step], minima[step:])
    middle = power[reach:-reach]
    right = len(minima) - len(middle)
    frequency, neuron = np.nonzero(middle > LINE_HEIGHT * np.maximum(minima[: len(middle)], minima[right:]))
    around = np.maximum(
        np.median(windows[frequency, neuron], axis=-1), np.median(windows[frequency + right, neuron], axis=-1)
    )
    lowered = power.copy()
    is_line = middle[frequency, neuron] > LINE_HEIGHT * around
    lowered[reach + frequency[is_line], neuron[is_line]] = around[is_line] / EXPONENTIAL_MEDIAN
    return lowered
