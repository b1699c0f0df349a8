// SPDX-License-Identifier: GPL-3.0-or-later
//
// The small-cnn architecture, written as TorchScript from C++: modules, parameters and the source text of their methods.

#include "failure.hpp"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <sstream>
#include <vector>

namespace {

using Unit = std::shared_ptr<torch::jit::CompilationUnit>;

torch::jit::Module module_named(const std::string &name, const Unit &unit) {
    return torch::jit::Module(c10::QualifiedName("__torch__.gantry." + name), unit, true);
}

void add_parameter(torch::jit::Module &module, const std::string &name, at::Tensor value) {
    value.requires_grad_(true);
    module.register_parameter(name, value, false);
}

// He et al. 2015, "Delving deep into rectifiers": normal with variance 2 / inputs of the unit.
at::Tensor he_normal(at::IntArrayRef shape, int64_t inputs, at::Generator &random) {
    at::Tensor values = at::empty(shape);
    values.normal_(0, std::sqrt(2.0 / static_cast<double>(inputs)), random);
    return values;
}

// 3 x 3 convolution that halves height and width, GroupNorm, ReLU. GroupNorm, since BatchNorm's running statistics do
// not survive averaging between hospitals.
torch::jit::Module stage(int64_t from, int64_t to, const Unit &unit, at::Generator &random) {
    torch::jit::Module convolution = module_named("Convolution", unit);
    add_parameter(convolution, "weight", he_normal({to, from, 3, 3}, from * 9, random));
    convolution.define(R"(
        def forward(self, x: Tensor) -> Tensor:
            return torch.conv2d(x, self.weight, None, [2, 2], [1, 1])
    )");
    torch::jit::Module norm = module_named("GroupNorm", unit);
    add_parameter(norm, "weight", at::ones({to}));
    add_parameter(norm, "bias", at::zeros({to}));
    std::ostringstream text;
    text << "def forward(self, x: Tensor) -> Tensor:\n"
         << "    return torch.group_norm(x, " << to / 8 << ", self.weight, self.bias)\n";
    norm.define(text.str());
    torch::jit::Module result = module_named("Stage", unit);
    result.register_module("conv", convolution);
    result.register_module("norm", norm);
    result.define(R"(
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.norm.forward(self.conv.forward(x)))
    )");
    return result;
}

// The mean of every channel and its strongest place: a lesion of a few cells hardly moves a mean.
torch::jit::Module head(int64_t features, int64_t findings, const Unit &unit, at::Generator &random) {
    torch::jit::Module linear = module_named("Head", unit);
    at::Tensor weight = at::empty({findings, 2 * features});
    weight.normal_(0, std::sqrt(1.0 / static_cast<double>(2 * features)), random);
    add_parameter(linear, "weight", weight);
    add_parameter(linear, "bias", at::zeros({findings}));
    linear.define(R"(
        def forward(self, x: Tensor) -> Tensor:
            pooled = torch.cat([torch.mean(x, [2, 3]), torch.amax(x, [2, 3])], 1)
            return torch.linear(pooled, self.weight, self.bias)
    )");
    return linear;
}

}  // namespace

int32_t gantry_torch_make_small_cnn(
    const char *path, int64_t channels, int64_t findings, const int64_t *widths, size_t stages, uint64_t seed, char *error,
    size_t error_capacity) {
    return gantry::guarded({error, error_capacity}, [&] {
        if (channels < 1 || findings < 1 || stages < 1) {
            throw gantry::Failure{GANTRY_TORCH_ARGUMENT, "at least one channel, one finding and one stage"};
        }
        at::Generator random = at::make_generator<at::CPUGeneratorImpl>(seed);
        auto unit = std::make_shared<torch::jit::CompilationUnit>();
        torch::jit::Module root = module_named("SmallCNN", unit);
        std::ostringstream text;
        text << "def forward(self, x: Tensor) -> Tensor:\n";
        int64_t from = channels;
        for (size_t index = 0; index < stages; ++index) {
            if (widths[index] < 8 || widths[index] % 8 != 0) {
                throw gantry::Failure{GANTRY_TORCH_ARGUMENT, "every stage is a multiple of 8 channels wide"};
            }
            const std::string name = "stage" + std::to_string(index + 1);
            root.register_module(name, stage(from, widths[index], unit, random));
            text << "    x = self." << name << ".forward(x)\n";
            from = widths[index];
        }
        root.register_module("head", head(from, findings, unit, random));
        text << "    return self.head.forward(x)\n";
        root.define(text.str());
        root.save(path);
    });
}
