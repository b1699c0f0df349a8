# SPDX-License-Identifier: GPL-3.0-or-later
"""Milliseconds of one batch through a package's TorchScript in PyTorch, as JSON: as loaded, and optimised for inference."""

import argparse
import json
import time
import warnings
from pathlib import Path

import torch

warnings.filterwarnings("ignore")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    preprocessing = json.loads((options.package / "configs/gantry.json").read_text())["preprocessing"]
    inputs = torch.rand(
        options.batch, len(preprocessing["channels"]), preprocessing["height"], preprocessing["width"])
    loaded = torch.jit.load(options.package / "models/model.ts").eval()
    times = {}
    for name, model in (("as loaded", loaded), ("optimised", torch.jit.optimize_for_inference(loaded))):
        with torch.inference_mode():
            for _ in range(3):
                model(inputs)
            times[name] = {"milliseconds": [], "cpu_milliseconds": []}
            for _ in range(options.repeats):
                begin, spent = time.perf_counter(), time.process_time()
                model(inputs)
                times[name]["milliseconds"].append((time.perf_counter() - begin) * 1000)
                times[name]["cpu_milliseconds"].append((time.process_time() - spent) * 1000)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
