// SPDX-License-Identifier: GPL-3.0-or-later
//
// Gradient-weighted class activation (Selvaraju et al. 2017, "Grad-CAM: Visual explanations from deep networks via
// gradient-based localization") on TorchScript, which has no hooks: in a copy of the module's code the layer's forward also
// leaves its output in an attribute of the layer, where it is found after the run, still part of the gradient's graph.

#include "model.hpp"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <sstream>

namespace gantry {

namespace {

const std::string tap = "gantry_activation";

torch::jit::Module layer_of(const torch::jit::Module &root, const std::string &path) {
    torch::jit::Module module = root;
    std::istringstream names(path);
    std::string name, seen;
    while (std::getline(names, name, '.')) {
        if (!module.hasattr(name) || !module.attr(name).isModule()) {
            std::string inside;
            for (const auto &child : module.named_children()) inside += (inside.empty() ? "" : ", ") + child.name;
            throw Failure{
                GANTRY_TORCH_LAYER, "the module has no layer “" + path + "”: there is no “" + name + "” in " +
                                        (seen.empty() ? "it" : "“" + seen + "”") +
                                        (inside.empty() ? "" : ", only " + inside)};
        }
        module = module.attr(name).toModule();
        seen += (seen.empty() ? "" : ".") + name;
    }
    if (seen.empty()) throw Failure{GANTRY_TORCH_LAYER, "the layer has no name"};
    return module;
}

// A copy of the module's code, over the same parameters, whose layer keeps its output.
tapped_model tapped(const torch::jit::Module &module, const std::string &path) {
    layer_of(module, path);
    tapped_model result{module.clone(true), {}, path};
    result.layer = layer_of(result.module, path);
    const auto forward = result.layer.find_method("forward");
    if (!forward) throw Failure{GANTRY_TORCH_LAYER, "the layer “" + path + "” has no method “forward”"};
    const std::shared_ptr<torch::jit::Graph> graph = forward->graph();
    if (graph->outputs().size() != 1 || !graph->outputs()[0]->type()->isSubtypeOf(*c10::TensorType::get())) {
        throw Failure{
            GANTRY_TORCH_LAYER, "the layer “" + path + "” gives a " +
                                    (graph->outputs().empty() ? "nothing" : graph->outputs()[0]->type()->str()) +
                                    ", not a tensor"};
    }
    result.layer.register_attribute(tap, c10::OptionalType::ofTensor(), c10::IValue());
    torch::jit::Node *keep = graph->create(c10::prim::SetAttr, {graph->inputs()[0], graph->outputs()[0]}, 0);
    keep->s_(c10::attr::name, tap);
    graph->appendNode(keep);
    return result;
}

}  // namespace

}  // namespace gantry

using gantry::Failure;
using gantry::guarded;

int32_t gantry_torch_activation_map(
    gantry_torch_model *model, const gantry_torch_inputs *inputs, int64_t outputs_per_input, int64_t output,
    const char *layer, float *values, size_t capacity, int64_t *rows, int64_t *columns, char *error,
    size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        if (inputs->count != 1 || output < 0 || output >= outputs_per_input) {
            throw Failure{GANTRY_TORCH_ARGUMENT, "one input, and one of its outputs"};
        }
        // Made once: types that are cloned stay in memory as long as the module's code.
        if (!model->tapped || model->tapped->path != layer) model->tapped = gantry::tapped(model->module, layer);
        gantry::tapped_model &tapped = *model->tapped;
        // The gradient reaches the layer also when no parameter before it trains. The model gets a copy, since it may begin
        // with an operation in place.
        const at::Tensor leaf = gantry::tensor_of(*inputs).clone().requires_grad_(true);
        const at::Tensor score = gantry::run(tapped.module, leaf * 1, outputs_per_input, model->least_places)[0][output];
        const c10::IValue kept = tapped.layer.attr(gantry::tap);
        tapped.layer.setattr(gantry::tap, c10::IValue());
        const std::string name = "the layer “" + tapped.path + "”";
        if (!kept.isTensor()) throw Failure{GANTRY_TORCH_LAYER, name + " takes no part in the output"};
        const at::Tensor seen = kept.toTensor();
        if (seen.dim() != 4 || seen.size(0) != 1) {
            std::ostringstream shape;
            shape << seen.sizes();
            throw Failure{
                GANTRY_TORCH_LAYER, name + " gives the shape " + shape.str() + ", not inputs x channels x height x width"};
        }
        if (static_cast<size_t>(seen.size(2) * seen.size(3)) > capacity) {
            throw Failure{GANTRY_TORCH_LAYER, name + " gives more places than the input has"};
        }
        at::Tensor gradient;
        if (seen.requires_grad() && score.requires_grad()) {
            gradient = torch::autograd::grad({score}, {seen}, {}, c10::nullopt, false, true)[0];
        }
        if (!gradient.defined()) throw Failure{GANTRY_TORCH_LAYER, "the output does not depend on " + name};
        torch::NoGradGuard no_gradients;
        const at::Tensor weights = gradient.mean({2, 3}, true);
        const at::Tensor map = (weights * seen).sum(1)[0].to(at::kFloat).contiguous();
        *rows = map.size(0);
        *columns = map.size(1);
        std::memcpy(values, map.data_ptr<float>(), sizeof(float) * static_cast<size_t>(map.numel()));
    });
}
