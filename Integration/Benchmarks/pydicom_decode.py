# SPDX-License-Identifier: GPL-3.0-or-later
"""Slices of a folder to model inputs with pydicom and numpy, on one thread, and the slices per CPU second as JSON.

Reads the instances into memory, then again and again: pydicom, RescaleSlope and RescaleIntercept, window 40/80, 224 × 224
by the mean of the area a pixel covers.
"""

import argparse
import io
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.pixels import get_decoder

SIZE = 224
LOW, WIDTH = np.float32(40 - 80 / 2), np.float32(80)

warnings.filterwarnings("ignore")


def shares(source):
    """The matrix that averages `source` values to SIZE by the share of each that a target pixel covers."""
    step = source / SIZE
    edges = np.arange(SIZE + 1) * step
    cells = np.arange(source)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return (np.clip(overlap, 0, None) / step).astype(np.float32)


class ByNumpy:
    """Two matrix products."""

    def __init__(self):
        self.matrices = {}

    def matrix(self, source):
        if source not in self.matrices:
            self.matrices[source] = shares(source)
        return self.matrices[source]

    def __call__(self, values):
        return self.matrix(values.shape[0]) @ values @ self.matrix(values.shape[1]).T


class BySums:
    """Sums of the whole cells under a pixel, as numpy's reduceat gives them, and the two cells at its edges by their share."""

    def __init__(self):
        self.plans = {}

    def plan(self, source):
        if source not in self.plans:
            matrix = shares(source)
            taps = int((matrix > 0).sum(axis=1).max())
            first = (matrix > 0).argmax(axis=1)
            index = np.minimum(first[None, :] + np.arange(taps)[:, None], source - 1)
            weight = np.where(
                first[None, :] + np.arange(taps)[:, None] < source, matrix[np.arange(SIZE)[None, :], index], 0)
            self.plans[source] = index, weight.astype(np.float32)
        return self.plans[source]

    def __call__(self, values):
        index, weight = self.plan(values.shape[0])
        rows = sum(values[i] * w[:, None] for i, w in zip(index, weight))
        index, weight = self.plan(values.shape[1])
        return sum(rows[:, i] * w for i, w in zip(index, weight))


def by_opencv():
    import cv2

    cv2.setNumThreads(1)
    return lambda values: cv2.resize(values, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


RESIZERS = {"numpy-matrices": ByNumpy, "numpy-taps": BySums, "opencv": by_opencv}


def model_input(file, plugin, resize):
    instance = pydicom.dcmread(io.BytesIO(file))
    if plugin:
        instance.pixel_array_options(decoding_plugin=plugin)
    values = instance.pixel_array.astype(np.float32)
    values *= np.float32(instance.get("RescaleSlope", 1))
    values += np.float32(instance.get("RescaleIntercept", 0)) - LOW
    values /= WIDTH
    np.clip(values, 0, 1, out=values)
    return resize(values)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=1, help="CPU seconds to measure for")
    parser.add_argument("--plugin", default="", help="pydicom's decoding plugin")
    parser.add_argument("--plugins", action="store_true", help="only name the plugins there are for this folder")
    parser.add_argument("--resize", choices=RESIZERS, default="numpy-taps")
    parser.add_argument("--inputs", type=Path, help="write the inputs of all slices here, as 32-bit floats")
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.dcm"))
    files = [path.read_bytes() for path in paths]
    if options.plugins:
        syntax = pydicom.dcmread(paths[0], stop_before_pixels=True).file_meta.TransferSyntaxUID
        compressed = syntax.is_compressed
        print(json.dumps(list(get_decoder(syntax).available_plugins) if compressed else [""]))
        return
    resize = RESIZERS[options.resize]()
    inputs = [model_input(file, options.plugin, resize) for file in files]
    if options.inputs:
        options.inputs.write_bytes(np.stack(inputs).astype("<f4").tobytes())
    count, begin = 0, time.process_time()
    while True:
        for file in files:
            model_input(file, options.plugin, resize)
        count += len(files)
        seconds = time.process_time() - begin
        if seconds >= options.seconds:
            break
    print(json.dumps({"slices_per_cpu_second": count / seconds}))


if __name__ == "__main__":
    main()
