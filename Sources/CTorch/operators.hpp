// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <torch/script.h>

#include <string_view>

namespace gantry {

// Whether a model may use an operator ("aten::relu", "prim::If"): those that compute on tensors, numbers, texts and lists,
// and those that a TorchScript file consists of. Not those that reach files, other processes, other threads, storage by
// address, or memory outside a tensor.
bool is_allowed(std::string_view name);

// Throws a `Failure` that names the operators of a module that it may not use, and where they are used: in every function
// and method that came with it, whether `forward` reaches it or not.
void check_operators(const torch::jit::Module &module);

}  // namespace gantry
