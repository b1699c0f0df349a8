// SPDX-License-Identifier: GPL-3.0-or-later
#include "model.hpp"

#include <torch/optim/adam.h>
#include <torch/optim/sgd.h>

#include <cmath>

struct gantry_torch_trainer {
    // Shares its tensors with the caller's model.
    torch::jit::Module module;
    std::vector<at::Tensor> parameters;
    std::vector<std::string> names;
    std::unique_ptr<torch::optim::Optimizer> optimiser;
    double longest_gradient;
    gantry_torch_model *model;
};

using gantry::Failure;
using gantry::guarded;

int32_t gantry_torch_trainer_new(
    gantry_torch_model *model, const uint8_t *trained, size_t count, const gantry_torch_optimiser *optimiser,
    gantry_torch_trainer **trainer, char *error, size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        if (count != model->parameters.size()) throw Failure{GANTRY_TORCH_ARGUMENT, "one byte for each parameter"};
        auto made = std::make_unique<gantry_torch_trainer>();
        made->module = model->module;
        made->model = model;
        made->longest_gradient = optimiser->longest_gradient;
        for (size_t index = 0; index < count; ++index) {
            model->parameters[index].requires_grad_(trained[index] != 0);
            if (trained[index] == 0) continue;
            made->parameters.push_back(model->parameters[index]);
            made->names.push_back(model->names[index]);
        }
        if (made->parameters.empty()) throw Failure{GANTRY_TORCH_ARGUMENT, "no parameter is to be trained"};
        if (optimiser->kind == GANTRY_TORCH_SGD) {
            made->optimiser = std::make_unique<torch::optim::SGD>(
                made->parameters, torch::optim::SGDOptions(1.0)
                                      .momentum(optimiser->momentum)
                                      .weight_decay(optimiser->weight_decay));
        } else {
            made->optimiser = std::make_unique<torch::optim::Adam>(
                made->parameters, torch::optim::AdamOptions().weight_decay(optimiser->weight_decay));
        }
        made->optimiser->zero_grad();
        *trainer = made.release();
    });
}

void gantry_torch_trainer_free(gantry_torch_trainer *trainer) {
    (void)guarded({nullptr, 0}, [&] { delete trainer; });
}

int32_t gantry_torch_trainer_accumulate(
    gantry_torch_trainer *trainer, const gantry_torch_inputs *inputs, int64_t outputs_per_input,
    const float *output_gradients, char *error, size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        const at::Tensor output = gantry::run(trainer->module, gantry::tensor_of(*inputs), outputs_per_input, 0);
        if (!output.requires_grad()) {
            throw Failure{
                GANTRY_TORCH_FAILED,
                "the model's output does not depend on the trained parameters (was the module frozen on export?)"};
        }
        output.backward(torch::from_blob(
            const_cast<float *>(output_gradients), output.sizes(), at::TensorOptions().dtype(at::kFloat)));
    });
}

int32_t gantry_torch_trainer_step(
    gantry_torch_trainer *trainer, double learning_rate, char *error, size_t error_capacity) {
    return guarded({error, error_capacity}, [&] {
        double square = 0;
        for (size_t index = 0; index < trainer->parameters.size(); ++index) {
            const at::Tensor &gradient = trainer->parameters[index].grad();
            if (!gradient.defined()) continue;
            const double length = gradient.norm().item<double>();
            if (!std::isfinite(length)) {
                throw Failure{GANTRY_TORCH_NOT_FINITE, "the gradient of “" + trainer->names[index] + "” is not finite"};
            }
            square += length * length;
        }
        const double length = std::sqrt(square);
        if (trainer->longest_gradient > 0 && length > trainer->longest_gradient) {
            torch::NoGradGuard no_gradients;
            for (const at::Tensor &parameter : trainer->parameters) {
                at::Tensor gradient = parameter.grad();
                if (gradient.defined()) gradient.mul_(trainer->longest_gradient / length);
            }
        }
        for (auto &group : trainer->optimiser->param_groups()) group.options().set_lr(learning_rate);
        trainer->optimiser->step();
        trainer->optimiser->zero_grad();
        trainer->model->scoring.reset();
    });
}
