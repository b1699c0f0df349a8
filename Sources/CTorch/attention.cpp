// SPDX-License-Identifier: GPL-3.0-or-later
//
// Operators that today's PyTorch writes into TorchScript files and libtorch 1.13 does not have, made of ones that it has.
// They are composites: gradients flow through the parts.

#include <torch/library.h>
#include <torch/torch.h>

#include <cmath>

namespace {

// torch.nn.functional.scaled_dot_product_attention, as its documentation defines it (PyTorch 2.0 and later).
at::Tensor scaled_dot_product_attention(
    const at::Tensor &query, const at::Tensor &key_in, const at::Tensor &value_in, const c10::optional<at::Tensor> &mask,
    double dropout, bool is_causal, c10::optional<double> scale, bool enable_gqa) {
    at::Tensor key = key_in;
    at::Tensor value = value_in;
    if (enable_gqa) {
        key = key.repeat_interleave(query.size(-3) / key.size(-3), -3);
        value = value.repeat_interleave(query.size(-3) / value.size(-3), -3);
    }
    const double factor = scale.value_or(1.0 / std::sqrt(static_cast<double>(query.size(-1))));
    at::Tensor weights = at::matmul(query, key.transpose(-2, -1)) * factor;
    if (is_causal) {
        const at::Tensor seen =
            at::ones({query.size(-2), key.size(-2)}, query.options().dtype(at::kBool)).tril();
        weights = weights.masked_fill(seen.logical_not(), -INFINITY);
    }
    if (mask.has_value() && mask->defined()) {
        weights = mask->scalar_type() == at::kBool ? weights.masked_fill(mask->logical_not(), -INFINITY) : weights + *mask;
    }
    weights = at::softmax(weights, -1);
    if (dropout > 0) weights = at::dropout(weights, dropout, true);
    return at::matmul(weights, value);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(aten, library) {
    library.def(
        "scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, "
        "float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor");
}

TORCH_LIBRARY_IMPL(aten, CompositeImplicitAutograd, library) {
    library.impl("scaled_dot_product_attention", scaled_dot_product_attention);
}
