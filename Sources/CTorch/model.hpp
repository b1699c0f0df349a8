// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "failure.hpp"

#include <optional>
#include <vector>

// A TorchScript module, its parameters by name, and the optimised copy that scores.
struct gantry_torch_model {
    torch::jit::Module module;
    std::vector<std::string> names;
    std::vector<at::Tensor> parameters;
    std::vector<bool> trains;
    // Empty until first used and after every change of a parameter.
    std::optional<torch::jit::Module> scoring;
};

namespace gantry {

// The inputs as a float tensor; shares the caller's memory when they are floats.
at::Tensor tensor_of(const gantry_torch_inputs &inputs);

// Runs `module` and checks that the result is inputs x outputs_per_input (or one value per input when that is 1).
at::Tensor run(torch::jit::Module &module, const at::Tensor &inputs, int64_t outputs_per_input);

}  // namespace gantry
