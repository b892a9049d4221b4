"""Drawn pictures for training, made on all cores, and cached in a memory-mapped file if reused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from accelerate import PartialState
from tqdm.auto import tqdm

from sdlearn.picturebook.drawing import draw_array
from sdlearn.picturebook.pages import TRAIN, scene_at
from sdlearn.picturebook.scenes import Scene

IN_ORDER = ("left of", "right of")


@cache
def scenes(count: int, book: int = TRAIN) -> list[Scene]:
    """The scenes on a book's first pages."""
    return [scene_at(page, book) for page in range(count)]


def captions(count: int, book: int = TRAIN) -> list[str]:
    """The captions of a book's first pages."""
    return [scene.caption for scene in scenes(count, book)]


@cache
def how_often(count: int, single: int = 1) -> np.ndarray:
    """The probability of drawing each page: doubled if its caption says what is left or right.

    Mirroring such a page would make its caption wrong, so there is more to bind than on other
    pages. A page with only one thing counts `single` times.
    """
    weights = np.array(
        [
            2 if scene.relation in IN_ORDER else single if len(scene.things) == 1 else 1
            for scene in scenes(count)
        ]
    )
    return weights / weights.sum()


def pictures(folder: Path, count: int, size: int, book: int = TRAIN) -> np.ndarray:
    """The first `count` pages as pictures: uint8 [count, size, size, 3].

    They come from the cache in `folder`, or are drawn now and cached there.
    """
    file = folder / f"book{book}-{count}x{size}.npy"
    with PartialState().main_process_first():
        if not file.exists():
            _store(file, draw_all(count, size, book), (count, size, size, 3))
    return np.load(file, mmap_mode="r")


def draw_all(count: int, size: int, book: int = TRAIN) -> Iterator[np.ndarray]:
    """Draw the pages in order, on all cores, each as uint8 [size, size, 3]."""
    return on_all_cores(partial(_draw_page, size=size, book=book), count, f"drawing {size}²")


def on_all_cores(
    made_of: Callable[[int], np.ndarray], count: int, what: str
) -> Iterator[np.ndarray]:
    """Yield what a function makes of each page, in order; a bar says `what` is being done."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        made = pool.map(made_of, range(count), chunksize=32)
        yield from tqdm(made, total=count, desc=what)


def _store(file: Path, drawn: Iterator[np.ndarray], shape: tuple[int, ...]) -> None:
    """Write the pages to a file, which gets its final name only when it is complete."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    store = np.lib.format.open_memmap(unfinished, "w+", np.uint8, shape)
    for page, picture in enumerate(drawn):
        store[page] = picture
    store.flush()
    del store  # Windows cannot rename an open file
    unfinished.rename(file)


def _draw_page(page: int, size: int, book: int) -> np.ndarray:
    return draw_array(scene_at(page, book), size)
