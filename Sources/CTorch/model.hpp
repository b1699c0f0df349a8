// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "failure.hpp"

#include <optional>
#include <vector>

namespace gantry {

// A copy of a module's code that keeps what one of its layers gives; shares the parameters.
struct tapped_model {
    torch::jit::Module module;
    torch::jit::Module layer;
    std::string path;
};

}  // namespace gantry

// A TorchScript module, its parameters by name, and the optimised copy that scores.
struct gantry_torch_model {
    torch::jit::Module module;
    std::vector<std::string> names;
    std::vector<at::Tensor> parameters;
    std::vector<bool> trains;
    // Of a segmentation model: how many places of a mask have to reach a value for it to count; else 0.
    int64_t least_places = 0;
    // Empty until first used and after every change of a parameter.
    std::optional<torch::jit::Module> scoring;
    // Empty until a layer was asked for.
    std::optional<gantry::tapped_model> tapped;
};

namespace gantry {

// The inputs as a float tensor; shares the caller's memory when they are floats.
at::Tensor tensor_of(const gantry_torch_inputs &inputs);

// Runs `module` and checks that the result is inputs x outputs_per_input (or one value per input when that is 1), or masks
// that give as many when least_places is above 0.
at::Tensor run(
    torch::jit::Module &module, const at::Tensor &inputs, int64_t outputs_per_input, int64_t least_places);

}  // namespace gantry
