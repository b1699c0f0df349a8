# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages as somebody with PyTorch makes them, and what PyTorch says about packages that Gantry made.

  export.py export resnet-18 PACKAGE SCORES    write a package, and inputs with PyTorch's scores for them
  export.py load PACKAGE SCORES                load a finished package in PyTorch, and write the same

The networks are written out here, with the layers, sizes and parameter names of torchvision: its wheel only loads beside
the PyTorch build that it was made for, which is not the CPU build.
"""

import json
import sys
import warnings
from collections import OrderedDict
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

SIZE = 224
# How strongly PyTorch's scores must differ between inputs, so that comparing them means something.
LEAST_SPREAD = 1e-3


# He et al. 2016, "Deep residual learning for image recognition".


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(nn.Module):
    def __init__(self, findings):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, findings)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


# Huang et al. 2017, "Densely connected convolutional networks"; on chest radiographs: Rajpurkar et al. 2017, "CheXNet".


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        new = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(new)))], 1)


class DenseNet121(nn.Module):
    def __init__(self, findings):
        super().__init__()
        growth, width = 32, 64
        parts = OrderedDict(
            conv0=nn.Conv2d(3, width, 7, 2, 3, bias=False), norm0=nn.BatchNorm2d(width), relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(3, 2, 1))
        for index, layers in enumerate((6, 12, 24, 16), 1):
            parts[f"denseblock{index}"] = nn.Sequential(OrderedDict(
                (f"denselayer{layer + 1}", DenseLayer(width + layer * growth, growth)) for layer in range(layers)))
            width += layers * growth
            if index < 4:
                parts[f"transition{index}"] = nn.Sequential(OrderedDict(
                    norm=nn.BatchNorm2d(width), relu=nn.ReLU(inplace=True), conv=nn.Conv2d(width, width // 2, 1, bias=False),
                    pool=nn.AvgPool2d(2, 2)))
                width //= 2
        parts["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(parts)
        self.classifier = nn.Linear(width, findings)

    def forward(self, x):
        x = functional.relu(self.features(x))
        return self.classifier(torch.flatten(functional.adaptive_avg_pool2d(x, (1, 1)), 1))


# Dosovitskiy et al. 2021, "An image is worth 16x16 words": ViT-B/16 with the first of its
# 12 equal layers, which saves time.


class EncoderBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        seen = self.ln_1(x)
        x = x + self.self_attention(seen, seen, seen, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class VisionTransformer(nn.Module):
    def __init__(self, findings, layers, width=768, heads=12, patch=16):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embedding = nn.Parameter(torch.empty(1, (SIZE // patch) ** 2 + 1, width).normal_(std=0.02))
        self.layers = nn.Sequential(*(EncoderBlock(width, heads) for _ in range(layers)))
        self.ln = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, findings)

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.pos_embedding
        return self.head(self.ln(self.layers(x))[:, 0])


def finding(name, title, code, meaning, urgency):
    return {
        "name": name, "title": title, "code": {"scheme": "SCT", "value": code, "meaning": meaning}, "threshold": 0.5,
        "urgency": urgency,
    }


HEAD_CT = {
    "takes": {"modalities": ["CT"], "body_parts": ["HEAD", "BRAIN"]},
    "channels": [{"window": {"center": center, "width": width}} for center, width in ((40, 80), (80, 200), (600, 2800))],
    "findings": [
        finding(
            "intracranial-haemorrhage", "Intracranial haemorrhage", "1386000", "Intracranial hemorrhage", "critical")],
}
CHEST = {
    "takes": {"modalities": ["CR", "DX"], "body_parts": ["CHEST"]},
    "channels": ["percentiles"] * 3,
    "findings": [
        finding("pneumonia", "Pneumonia", "233604007", "Pneumonia", "urgent"),
        finding("pneumothorax", "Pneumothorax", "36118008", "Pneumothorax", "critical"),
        finding("pleural-effusion", "Pleural effusion", "60046008", "Pleural effusion", "routine"),
    ],
}


def traced(model, example):
    return torch.jit.trace(model, example)


def scripted(model, example):
    return torch.jit.script(model)


# Name: title, network, how it is exported, task, layer from which heat maps are made.
PACKAGES = {
    "resnet-18": ("ResNet-18", ResNet18, traced, HEAD_CT, "layer4"),
    "densenet-121": ("DenseNet-121", DenseNet121, scripted, CHEST, "features.denseblock4"),
    "vit-b-16": ("ViT-B/16", partial(VisionTransformer, layers=2), traced, CHEST, "conv_proj"),
    # Scripted, attention keeps both of its ways: a fused operator for inference, its parts for training.
    "vit-b-16-scripted": ("ViT-B/16", partial(VisionTransformer, layers=1), scripted, HEAD_CT, None),
}


def images(count, channels, height, width):
    """Smooth random images, each of another contrast, so that a network says something else about each."""
    coarse = torch.rand(count, channels, 7, 7)
    smooth = functional.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    return smooth * torch.linspace(0.2, 1, count).view(-1, 1, 1, 1)


def settle(model):
    """Gives BatchNorm the running statistics of images, as training would have."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        # One batch counts whole.
        norm.momentum = 1.0
    model.train()
    with torch.no_grad():
        model(images(4, 3, SIZE, SIZE))


def write_package(name, folder):
    title, network, export, task, layer = PACKAGES[name]
    model = network(len(task["findings"]))
    settle(model)
    model.eval()
    (folder / "models").mkdir(parents=True)
    (folder / "configs").mkdir()
    export(model, images(2, 3, SIZE, SIZE)).save(str(folder / "models" / "model.ts"))

    use = "Sorts studies so that those with a suspected finding are read first; not a diagnosis."
    manifest = {
        "gantry": 1, "name": name, "title": title, "intended_use": use, "takes": task["takes"],
        "preprocessing": {
            "height": SIZE, "width": SIZE, "channels": task["channels"],
            # ImageNet's, which published weights expect.
            "normalise": {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]},
        },
        "findings": task["findings"],
        "training": {"learning_rate": 0.0001},
    }
    if layer:
        manifest["explanation"] = {"layer": layer}
    metadata = {
        "version": "0.1.0", "task": title, "description": use, "intended_use": use, "authors": "untrained",
        "pytorch_version": torch.__version__,
        "network_data_format": {
            "inputs": {"image": {
                "type": "image", "format": "magnitude", "num_channels": 3, "spatial_shape": [SIZE, SIZE],
                "dtype": "float32"}},
            "outputs": {"pred": {
                "type": "logits", "format": "classes", "num_channels": len(task["findings"]), "dtype": "float32"}},
        },
    }
    for file, content in (("gantry.json", manifest), ("metadata.json", metadata)):
        (folder / "configs" / file).write_text(json.dumps(content, indent=2) + "\n")
    return model


def load_package(folder):
    """The package's module, when its parameters have names and are those of its parameters file."""
    model = torch.jit.load(folder / "models" / "model.ts")
    own = dict(model.named_parameters())
    stored = load_file(folder / "models" / "parameters.safetensors")
    if not own or own.keys() != stored.keys():
        sys.exit(f"{folder}: the module has the parameters {sorted(own)}, the file has {sorted(stored)}")
    different = [name for name in own if not torch.equal(own[name], stored[name])]
    if different:
        sys.exit(f"{folder}: the module and the parameters file differ in {different}")
    if not all(parameter.requires_grad for parameter in own.values()):
        sys.exit(f"{folder}: a parameter does not train in PyTorch")
    return model


def write_scores(model, folder, scores_file):
    preprocessing = json.loads((folder / "configs" / "gantry.json").read_text())["preprocessing"]
    inputs = images(4, len(preprocessing["channels"]), preprocessing["height"], preprocessing["width"])
    with torch.no_grad():
        scores = torch.sigmoid(model(inputs))
    spread = (scores.amax(0) - scores.amin(0)).min().item()
    if not spread >= LEAST_SPREAD:
        sys.exit(f"{folder}: the scores of different inputs differ by {spread} only: {scores.tolist()}")
    save_file({"inputs": inputs.contiguous(), "scores": scores.contiguous()}, scores_file)


def main(command, *arguments):
    # In inference PyTorch replaces attention by one fused operator that has no derivative: a trace would keep that.
    torch.backends.mha.set_fastpath_enabled(False)
    # TorchScript is what Gantry runs; that PyTorch advises torch.export is known.
    warnings.filterwarnings("ignore", message=".*torch.jit.*is deprecated", category=DeprecationWarning)
    torch.manual_seed(1)
    folder, scores_file = (Path(argument) for argument in arguments[-2:])
    model = write_package(arguments[0], folder) if command == "export" else load_package(folder)
    write_scores(model, folder, scores_file)
    print(f"PyTorch {torch.__version__} {command}s {sum(parameter.numel() for parameter in model.parameters())} parameters")


if __name__ == "__main__":
    main(*sys.argv[1:])
