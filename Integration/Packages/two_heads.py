# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a TorchScript model with two findings on one encoder.

  two_heads.py MODEL.TS
"""

import sys

import torch
from torch import nn


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv2d(2, 8, 7, 4)
        # Both findings are positive whatever the image shows, the second more than the first.
        self.first, self.second = nn.Linear(8, 1), nn.Linear(8, 1)
        with torch.no_grad():
            for head, bias in ((self.first, 1.0), (self.second, 3.0)):
                head.weight.zero_()
                head.bias.fill_(bias)

    def forward(self, x):
        seen = torch.relu(self.encoder(x)).mean([2, 3])
        return torch.cat([self.first(seen), self.second(seen)], 1)


if __name__ == "__main__":
    torch.jit.script(TwoHeads()).save(sys.argv[1])
