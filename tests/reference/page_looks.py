"""What SciPy, NumPy and the studies compute for the page's other ways to look: clusters, components, distributions.

`scripts/write-engine-fixtures` writes them before the tests of the page.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from safetensors.torch import save as save_torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from gatescope import Network
from gatescope.recording import record
from gatescope.studies.distributions import distributions, moments
from gatescope.studies.passages import passages
from gatescope.studies.snapshots import snapshot
from gatescope.studies.weights import weights
from tests.reference.engine_networks import network_of
from tests.reference.engine_shapes import ALL_CELLS, SEED, SHAPES, Shape

CELLS = ("lstm", "gru", "peephole", "slstm", "own")
SHAPE = Shape("characters", SHAPES[0].vocabulary, (dict(neurons=9), dict(neurons=4)), "")
TEXT = "\n".join("ab月b" * k + "月" + "ba" * (9 - k) for k in range(1, 9)) + "\n"
AT = "月"
CUT_SHARE = 0.7  # of the last distance, above which clusters part
PEAKS, APART = 3, 7


def clusters_of(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return the distances, the tree and the groups that SciPy computes for neurons (N, P)."""
    distances = squareform(1 - np.abs(np.corrcoef(values)), checks=False)
    tree = linkage(distances, "average")
    groups = fcluster(tree, CUT_SHARE * tree[:, 2].max(), "distance")
    return dict(distances=distances.tolist(), merges=tree.tolist(), groups=groups.tolist())


def components_of(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return the directions, the shares and the projections of the first two components, by singular values."""
    centred = values - values.mean(1, keepdims=True)
    _, sizes, directions = np.linalg.svd(centred.T, full_matrices=False)
    largest = np.abs(directions).argmax(1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    shares = sizes**2 / (sizes**2).sum()
    return dict(
        directions=directions[:2].tolist(),
        shares=shares[:2].tolist(),
        projections=(directions[:2] @ centred).tolist(),
    )


def case_of(network: Network, arrays: dict[str, NDArray[Any]], name: str) -> dict[str, Any]:
    """Return what the page computes of one network, and keep its signals under its name."""
    trace = record(network, TEXT)
    signals = {}
    for signal in network.configuration.layers[0].cell.signals:
        values = _values(trace, signal)
        arrays[f"{name}/{signal}"] = values
        exact = values.astype(np.float64)
        signals[signal] = dict(
            clusters=clusters_of(exact) if (exact.std(1) > 0).all() else None,
            components=components_of(exact),
            components_of_few=components_of(exact[:, :5]),
            peaks=[passages(trace, "layer0", signal, n, count=PEAKS, context=3, apart=APART).to_json() for n in (0, 5)],
        )
    at = snapshot(trace, AT, layers=["layer0"])
    starts = np.concatenate([np.arange(n) == 0 for n in trace.lengths]).astype(np.uint8)
    arrays[f"{name}/start"] = starts
    arrays[f"{name}/weights"] = np.frombuffer(save_torch(dict(network.state_dict())), np.uint8)
    return dict(
        name=name,
        network=network.configuration.to_json(),
        signals=signals,
        ranges={key: value.get("range") for key, value in trace.attributes["layers"]["layer0"]["arrays"].items()},
        distributions=distributions(trace, by_neuron=True).where(layer="layer0").to_json(),
        moments=moments(trace).where(layer="layer0").to_json(),
        snapshot=at.to_json(),
        weights=weights(network).to_json(),
    )


def _values(trace: Any, signal: str) -> NDArray[np.float32]:
    """Return a signal of layer 0 at every step of all sequences, (N, P)."""
    array = np.asarray(trace["layer0"][signal])
    return np.concatenate([array[s, :n] for s, n in enumerate(trace.lengths)]).T.astype(np.float32).copy()


def write_looks(folder: Path) -> None:
    """Write the signals of small networks, and what is computed of them."""
    arrays: dict[str, NDArray[Any]] = {}
    generator = torch.Generator().manual_seed(SEED)
    networks = {cell.name: network_of(cell, SHAPE, generator) for cell in ALL_CELLS if cell.name in CELLS}
    cases = [case_of(network, arrays, name) for name, network in networks.items()]
    index = json.dumps(dict(text=TEXT, at=AT, peaks=PEAKS, apart=APART, cases=cases))
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    (folder / "looks.bin").write_bytes(save(contiguous, {"index": index}))
