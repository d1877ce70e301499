"""Small torch models as people write them, and what they compute, for files made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gatescope import Network, Vocabulary

SYMBOLS = tuple("abcdefg")
VOCABULARY = Vocabulary(SYMBOLS)
IDS = torch.tensor([[0, 3, 6, 1], [2, 2, 5, 0], [4, 1, 0, 6], [5, 6, 3, 3], [1, 0, 2, 4]])  # (T, B)


class Model(nn.Module):
    """An embedding, a stack of torch's, a readout: a language model of characters."""

    def __init__(self, kind: str = "LSTM", neurons: int = 6, embedding: int | None = 5, **options: Any) -> None:
        super().__init__()
        inputs = embedding or len(SYMBOLS)
        self.embedding = nn.Embedding(len(SYMBOLS), embedding) if embedding else None
        self.rnn = getattr(nn, kind)(inputs, neurons, **options)
        outputs = options.get("proj_size") or neurons
        self.fc = nn.Linear(outputs * (2 if options.get("bidirectional") else 1), len(SYMBOLS))

    def forward(self, ids: Tensor) -> Tensor:
        vectors = nn.functional.one_hot(ids, len(SYMBOLS)).float() if self.embedding is None else self.embedding(ids)
        return self.fc(self.rnn(vectors)[0])


def model(kind: str = "LSTM", seed: int = 0, **options: Any) -> Model:
    """Return a model with random weights and biases."""
    torch.manual_seed(seed)
    made = Model(kind, **options)
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return made.eval()


def arrays(source: nn.Module) -> dict[str, np.ndarray]:
    """Return the state dict as NumPy arrays."""
    return {name: value.numpy().copy() for name, value in source.state_dict().items()}


def assert_same(network: Network, expected: Tensor | np.ndarray) -> None:
    """Check that the network's logits on IDS equal the expected ones, (T, B, V), up to rounding in float32."""
    with torch.no_grad():
        logits = network(IDS).logits
    np.testing.assert_allclose(logits.numpy(), np.asarray(expected), rtol=0, atol=2e-6)


def save_torch(path: Path, content: Any) -> Path:
    """Save the content by torch.save and return the path."""
    torch.save(content, path)
    return path
