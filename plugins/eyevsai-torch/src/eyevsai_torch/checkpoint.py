"""Checkpoints: everything that has state, as one safetensors file with JSON in its header.

Written whole or not at all. Nothing is pickled, neither here nor in what processes tell each
other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import safetensors.torch
from safetensors import SafetensorError

from eyevsai_core.errors import RunError
from eyevsai_core.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    import torch

__all__ = ["Checkpoint"]

_FORMAT = 1
_STATE = "state"
_LENGTH = 8  # bytes, of the length that a safetensors file begins with


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors and a state of JSON types."""

    tensors: dict[str, torch.Tensor]
    state: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.tensors.items()}
        text = json.dumps({**self.state, "format": _FORMAT}, sort_keys=True)
        return safetensors.torch.save(tensors, metadata={_STATE: text})

    def write(self, path: Path) -> None:
        """Write the file. Raises `OutputError`, and then leaves the one before untouched."""
        write_atomic(path, self.to_bytes())

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> Checkpoint:
        """Read the content of the file `name`.

        Raises `RunError` when it is damaged or of another version.
        """
        try:
            tensors = safetensors.torch.load(content)
            length = int.from_bytes(content[:_LENGTH], "little")
            header = json.loads(content[_LENGTH : _LENGTH + length])
            state = json.loads(header["__metadata__"][_STATE])
            if state.pop("format") != _FORMAT:
                raise ValueError("it was written by another version of eyevsai")
        except (SafetensorError, ValueError, LookupError, TypeError) as error:
            raise RunError(
                f"the checkpoint {name!r} cannot be gone on with: {error}; remove it to begin anew"
            ) from error
        return cls(tensors, state)

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors whose names begin with ``prefix.``, without it."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): value
            for name, value in self.tensors.items()
            if name.startswith(start)
        }
