"""Connections: which inputs each prediction depends on, by gradient or by replacing the inputs."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save

from gatescope.explorer.exact_recording import ExactRecording
from gatescope.explorer.gradient_map import metadata
from gatescope.explorer.requests import RequestError
from gatescope.studies.gradients.backpropagation import saliency
from gatescope.studies.horizon import influence

SALIENCY_WORK = 4e9  # squared neurons · steps · predictions of one answer
INFLUENCE_WORK = 2e10  # squared neurons · steps · distances of one answer
MIN_PREDICTIONS = 4  # of one answer
MIN_DISTANCE_STEPS = 8


def predictions_per_answer(recording: ExactRecording) -> int:
    """Return the number of predictions whose gradients one answer holds: all of them for a small network."""
    squared_neurons = sum(layer.neurons**2 for layer in recording.network.configuration.layers)
    count = SALIENCY_WORK / (squared_neurons * recording.steps)
    if count >= recording.steps:
        return recording.steps
    return max(MIN_PREDICTIONS, int(2 ** np.floor(np.log2(max(count, 1.0)))))


def encode_gradients(recording: ExactRecording, first: int, count: int) -> bytes:
    """Return |d loss_t / d input_s| and the losses for `count` steps t from `first` on, (prediction, T).

    Raises:
        RequestError: the network predicts numbers.
    """
    _check_predictions(recording)
    last = min(first + count, recording.steps) - 1
    connections = np.full((last + 1 - first, recording.steps), np.nan, np.float32)
    losses = np.full(last + 1 - first, np.nan, np.float32)
    for number, span in recording.spans():
        is_predicted = ~np.isnan(recording.log_probabilities(number))
        steps = [t for t in range(max(first, span.start), min(last + 1, span.stop)) if is_predicted[t - span.start]]
        if not steps:
            continue
        result = saliency(recording.network, recording.sequences[number], [t - span.start for t in steps])
        for row, t in enumerate(steps):
            inputs = t - result.distances  # the step of each derivative
            inside = (inputs >= span.start) & (inputs < span.stop)
            connections[t - first, inputs[inside]] = result.inputs[row, inside]
            losses[t - first] = result.losses[row]
    about = metadata(recording, by="gradient", first=first, furthest=recording.steps)
    return save({"connections": connections, "loss": losses}, about)


def encode_changes(recording: ExactRecording) -> bytes:
    """Return the change of the prediction after t (nats) if the symbol at s is replaced, (T, T), and the losses.

    Raises:
        RequestError: the network predicts numbers, or is bidirectional.
    """
    _check_predictions(recording)
    if recording.network.configuration.both_ways:
        raise RequestError("CONNECTIONS_BIDIRECTIONAL", status=409)
    steps = recording.steps
    connections = np.full((steps, steps), np.nan, np.float32)
    losses = np.full(steps, np.nan, np.float32)
    squared_neurons = sum(layer.neurons**2 for layer in recording.network.configuration.layers)
    furthest = min(steps, max(MIN_DISTANCE_STEPS, int(INFLUENCE_WORK / (squared_neurons * steps))))
    for number, span in recording.spans():
        result = influence(recording.network, recording.sequences[number], furthest=furthest)
        for replaced, row in enumerate(result.divergence):
            changed = span.start + replaced + result.distances
            inside = changed < span.stop
            connections[changed[inside], span.start + replaced] = row[inside]
        losses[span] = -recording.log_probabilities(number)
    about = metadata(recording, by="change", first=0, furthest=furthest)
    return save({"connections": connections, "loss": losses}, about)


def _check_predictions(recording: ExactRecording) -> None:
    """Refuse estimates of numbers, which have no loss without their targets."""
    if recording.network.configuration.readout.kind == "numbers":
        raise RequestError("CONNECTIONS_OF_ESTIMATES", status=409)
