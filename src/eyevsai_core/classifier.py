"""The fitted model that everybody uses: an artefact, loaded and ready to answer."""

from __future__ import annotations

import hashlib
from functools import cache, cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from eyevsai_core.artefact import MAX_ARTEFACT_BYTES, check_artefact
from eyevsai_core.card import ModelCard
from eyevsai_core.errors import ImageError, ModelCorruptError, ModelNotFoundError
from eyevsai_core.graph import INPUT, OUTPUT
from eyevsai_core.images import as_image, check_array
from eyevsai_core.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from eyevsai_core.images import ImageLike

__all__ = ["OnnxClassifier"]

_BATCH = 32
_BATCH_PIXELS = 2**23  # whatever the number of pictures, so that memory is bounded
_BATCH_RANK = 4
_RUNTIME_MEMORY = 8 * 2**30
# They have no common base of their own.
_RUNTIME_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    UnicodeDecodeError,  # its message quotes names of a damaged file that are not text
)
_QUIET = 3  # errors only: a warning about a node is of no use to who runs the model


class OnnxClassifier:
    """A fitted, immutable classifier: one artefact in an onnxruntime session.

    Safe to use from many threads. Make one with `load_model`.
    """

    def __init__(self, content: bytes, *, card: ModelCard | None, threads: int | None) -> None:
        """Check `content`, then hand the same bytes to the runtime. See `from_bytes`."""
        info = check_artefact(content)
        if card is not None and (card.classes, card.image_size) != (info.classes, info.image_size):
            raise ModelCorruptError(
                f"the card describes {len(card.classes)} classes at {card.image_size} px, but the "
                f"artefact has {len(info.classes)} at {info.image_size} px, or other labels: they "
                "do not belong together"
            )
        self._session = _start(content, threads)
        self._info = info
        self._card = card

    @classmethod
    def from_bytes(
        cls, content: bytes, *, card: ModelCard | None = None, threads: int | None = None
    ) -> OnnxClassifier:
        """Load an artefact from memory. Raises `ModelCorruptError` before anything runs."""
        return cls(content, card=card, threads=threads)

    @classmethod
    def from_file(cls, path: Path, *, threads: int | None = None) -> OnnxClassifier:
        """Load a lone ``.onnx`` file. Raises `ModelNotFoundError` and `ModelCorruptError`."""
        return cls(_read(path), card=None, threads=threads)

    @classmethod
    def from_folder(cls, folder: Path, *, threads: int | None = None) -> OnnxClassifier:
        """Load a model's folder: the file must be the one that ``card.json`` describes.

        Raises `ModelNotFoundError` and `ModelCorruptError`.
        """
        card = ModelCard.read(folder / "card.json")
        content = _read(folder / "model.onnx")
        digest = hashlib.sha256(content).hexdigest()
        if digest != card.files.get("model.onnx"):
            raise ModelCorruptError(
                f"{str(folder / 'model.onnx')!r} is not the file that its card describes (SHA-256 "
                f"{digest[:12]}..., card {str(card.files.get('model.onnx'))[:12]}...): it was "
                "changed or damaged. Train or fetch the model again"
            )
        return cls(content, card=card, threads=threads)

    @property
    def card(self) -> ModelCard | None:
        """The model's card; None if the artefact came without one."""
        return self._card

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels; column *i* of any probability matrix is ``classes[i]``."""
        return self._info.classes

    @property
    def classes_(self) -> npt.NDArray[np.str_]:
        """The labels as scikit-learn spells them: an array (n_classes,)."""
        return np.array(self._info.classes)

    @property
    def image_size(self) -> int:
        """Side of the square that pictures are resized to inside the artefact, in pixels."""
        return self._info.image_size

    def predict(self, image: ImageLike) -> dict[str, float]:
        """Return the probability of every label for one picture, in the order of `classes`.

        `image` is uint8 (h, w, 3), a path, the bytes of a file, or a PIL picture.
        """
        row = self._run(as_image(image))[0]
        return dict(zip(self._info.classes, row.tolist(), strict=True))

    def prediction(self, image: ImageLike) -> Prediction:
        """Return label, confidence and probabilities for one picture."""
        return Prediction.from_row(self.classes, self._run(as_image(image))[0])

    def predict_batch(self, images: Iterable[ImageLike]) -> list[dict[str, float]]:
        """Return what `predict` does for each of several pictures."""
        rows = self.predict_proba(images)
        return [dict(zip(self._info.classes, row.tolist(), strict=True)) for row in rows]

    def predict_proba(
        self, images: npt.NDArray[np.uint8] | Iterable[ImageLike]
    ) -> npt.NDArray[np.float32]:
        """Return calibrated probabilities, float32 (n, n_classes).

        `images` is uint8 (n, h, w, 3), or any number of pictures of any sizes. Raises
        `ImageError`.
        """
        if isinstance(images, np.ndarray) and images.dtype != object:
            if images.ndim != _BATCH_RANK:
                raise ImageError(
                    "a batch must be a uint8 array of shape (n, height, width, 3), but got "
                    f"{images.dtype} of shape {images.shape}; for one picture use predict()"
                )
            if len(images) == 0 and images.dtype == np.uint8:
                return self._empty()
            return self._in_chunks(check_array(images, ranks=(_BATCH_RANK,)))
        if isinstance(images, str | bytes | Path):
            raise ImageError(f"expected several pictures, but got {images!r}; use predict()")
        return self._of_any_size(images)

    def get_metadata(self) -> dict[str, Any]:
        """Return what the model says of itself: its card if it has one, and the file's metadata."""
        own = {
            "classes": list(self.classes),
            "image_size": self.image_size,
            "artefact": dict(self._info.metadata),
        }
        return {**(self.card.to_dict() if self.card else {}), **own}

    def _empty(self) -> npt.NDArray[np.float32]:
        return np.zeros((0, len(self._info.classes)), np.float32)

    def _run(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        try:
            (rows,) = self._session.run((OUTPUT,), {INPUT: pixels})
        except _RUNTIME_ERRORS as error:
            raise ModelCorruptError(f"the artefact fails on a picture: {error}") from error
        if rows.shape[-1] != len(self._info.classes):
            raise ModelCorruptError(
                f"the artefact gave a result of shape {rows.shape} for its "
                f"{len(self._info.classes)} classes: it is damaged"
            )
        return rows  # type: ignore[no-any-return]  # onnxruntime is not annotated

    def _in_chunks(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Run a batch of one size in pieces, so that memory does not grow with it."""
        step = _pictures_at_once(images.shape[1:])
        if len(images) <= step:
            return self._run(np.ascontiguousarray(images))
        starts = range(0, len(images), step)
        return np.concatenate(
            [self._run(np.ascontiguousarray(images[i : i + step])) for i in starts]
        )

    def _of_any_size(self, images: Iterable[ImageLike]) -> npt.NDArray[np.float32]:
        """Run neighbours of one size together, others alone; takes a picture when it is due."""
        rows = [self._empty()]
        group: list[npt.NDArray[np.uint8]] = []
        for image in map(as_image, images):
            shape = group[0].shape if group else image.shape
            if image.shape != shape or len(group) == _pictures_at_once(shape):
                rows.append(self._run(np.stack(group)))
                group = []
            group.append(image)
        if group:
            rows.append(self._run(np.stack(group)))
        return np.concatenate(rows)

    @cached_property
    def name(self) -> str:
        """The reference of a registered model, or family and variant."""
        if self.card and self.card.ref:
            return self.card.ref
        metadata = self._info.metadata
        return f"{metadata.get('family', 'model')}/{metadata.get('variant', 'unnamed')}"

    def __repr__(self) -> str:
        """Say the name, the number of classes and the input size."""
        return f"OnnxClassifier({self.name!r}, {len(self.classes)} classes, {self.image_size} px)"

    def _repr_html_(self) -> str:
        """Show the model as a small card in a notebook."""
        accuracy = _share(self._info.metadata.get("test_accuracy", ""))
        facts = {
            "model": self.name,
            "classes": ", ".join(self.classes[:12]) + (" ..." if len(self.classes) > 12 else ""),  # noqa: PLR2004
            "input": f"any RGB picture, looked at in {self.image_size} x {self.image_size}",
            **({} if accuracy is None else {"test accuracy": f"{accuracy:.1%}"}),
        }
        rows = "".join(
            f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in facts.items()
        )
        return f"<table>{rows}</table>"


def _start(content: bytes, threads: int | None) -> onnxruntime.InferenceSession:
    """Hand checked bytes to the runtime, which gets no more memory than a picture needs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.inter_op_num_threads = 1
    if threads:
        options.intra_op_num_threads = threads
    if _memory_is_bounded():
        options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _RUNTIME_ERRORS as error:
        raise ModelCorruptError(f"onnxruntime cannot load the artefact: {error}") from error


@cache
def _memory_is_bounded() -> bool:
    """Give all artefacts of this process one arena that refuses to grow beyond a limit.

    Without it, a few bytes of a graph could ask for all memory that the machine has.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    # -1 is the runtime's own choice; 1 lets the arena grow by what is asked for, not by doubling.
    limits = {
        "max_mem": _RUNTIME_MEMORY,
        "arena_extend_strategy": 1,
        "initial_chunk_size_bytes": -1,
        "max_dead_bytes_per_chunk": -1,
    }
    try:
        onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(limits))
    except _RUNTIME_ERRORS:
        return False  # the program that we are part of has registered one of its own
    return True


def _pictures_at_once(shape: tuple[int, ...]) -> int:
    return max(1, min(_BATCH, _BATCH_PIXELS // (shape[0] * shape[1])))


def _share(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_ARTEFACT_BYTES + 1)
    except OSError as error:
        raise ModelNotFoundError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if len(content) > MAX_ARTEFACT_BYTES:
        raise ModelCorruptError(f"{str(path)!r} is larger than {MAX_ARTEFACT_BYTES} bytes")
    return content
