# SPDX-License-Identifier: GPL-3.0-or-later
"""Model packages whose TorchScript is given as source text, as a hostile author would write them."""

import json
import shutil
from pathlib import Path

from .processes import ROOT, run
from .site import write_safetensors

SOURCE = ROOT / "Integration" / "Packages" / "script_model.cpp"
TOOL = ROOT / ".build" / "script_model"

# What every model below does besides: an honest network of two parameters.
HONEST = "torch.mean(x, [1, 2, 3]).reshape([-1, 1]) * self.weight + self.bias"


def tool():
    """The program that writes TorchScript from text, compiled against libtorch where it is older than its source."""
    if not TOOL.exists() or TOOL.stat().st_mtime < SOURCE.stat().st_mtime:
        run("g++", "-std=c++17", "-isystem", "/usr/include/torch/csrc/api/include", SOURCE, "-o", TOOL,
            "-ltorch", "-ltorch_cpu", "-lc10")
    return TOOL


def forward(*statements, result=HONEST, methods=""):
    """A module that runs some statements before each honest answer."""
    lines = ["def forward(self, x: Tensor) -> Tensor:", *(f"    {line}" for line in statements), f"    return {result}"]
    return methods + "\n".join(lines) + "\n"


def on_load(*statements):
    """A submodule that runs some statements when it is loaded."""
    return "\n".join([
        "def __getstate__(self) -> Tuple[Tensor, bool]:", "    return (self.seen, self.training)", "",
        "def __setstate__(self, state: Tuple[Tensor, bool]) -> None:", "    self.seen = state[0]",
        "    self.training = state[1]", *(f"    {line}" for line in statements), ""])


def script_package(like, out, name, source, load=None, **changes):
    """A package with the manifest of `like` under another name, and a model of the text `source`.

    `changes`: members of gantry.json."""
    out = Path(out)
    shutil.copytree(like, out)
    manifest_file = out / "configs" / "gantry.json"
    manifest = json.loads(manifest_file.read_text())
    manifest["name"] = name
    manifest.pop("explanation", None)
    manifest["preprocessing"].update(height=32, width=32)
    manifest.update(changes)
    manifest_file.write_text(json.dumps(manifest))
    text = out.parent / f"{out.name}.forward.txt"
    text.write_text(source)
    command = [tool(), out / "models" / "model.ts", text]
    if load:
        load_text = out.parent / f"{out.name}.load.txt"
        load_text.write_text(load)
        command.append(load_text)
    run(*command)
    (out / "models" / "parameters.safetensors").write_bytes(
        write_safetensors({"weight": ([1, 1], [1.0]), "bias": ([1], [0.0])}))
    return out
