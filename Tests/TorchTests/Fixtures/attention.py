# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes attention.ts: one output through scaled_dot_product_attention, one through its formula; they must agree.

Made with PyTorch 2.13: python3 attention.py
"""

import math
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 48)
        self.head = nn.Linear(8, 1)

    def formula(self, q: Tensor, k: Tensor, v: Tensor, mask: Optional[Tensor], scale: float) -> Tensor:
        weights = torch.matmul(q, k.transpose(-2, -1)) * scale
        if mask is not None:
            weights = weights.masked_fill(torch.logical_not(mask), -math.inf)
        return torch.matmul(torch.softmax(weights, -1), v)

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        # Rows of the image are the tokens; two heads of width 8.
        q, k, v = self.project(x[:, 0]).view(n, 8, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        lower = torch.ones(8, 8, dtype=torch.bool).tril()
        mask = lower.flip(0, 1)
        usual = 1 / math.sqrt(8.0)
        fused = scaled_dot_product_attention(q, k, v) + scaled_dot_product_attention(q, k, v, is_causal=True)
        fused = fused + scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.5)
        fused = fused + scaled_dot_product_attention(q, k[:, :1], v[:, :1], enable_gqa=True)
        plain = self.formula(q, k, v, None, usual) + self.formula(q, k, v, lower, usual)
        plain = plain + self.formula(q, k, v, mask, 0.5)
        plain = plain + self.formula(q, k[:, :1].expand_as(k), v[:, :1].expand_as(v), None, usual)
        return torch.cat([self.head(fused.sum(1).mean(1)), self.head(plain.sum(1).mean(1))], 1)


torch.manual_seed(1)
module = Attention().eval()
out = module(torch.rand(2, 1, 8, 8))
assert torch.allclose(out[:, 0], out[:, 1], atol=1e-6), out
torch.jit.script(module).save("attention.ts")
