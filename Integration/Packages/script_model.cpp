// SPDX-License-Identifier: GPL-3.0-or-later
//
// Writes a TorchScript file whose code is given as text, for tests: what a hostile author would write needs no Python.
//
//   script_model OUT.ts FORWARD [ON_LOAD]
//
// FORWARD: the source of the module's methods, which may use the parameters self.weight (1 x 1) and self.bias (1).
// ON_LOAD: the source of a submodule with __getstate__ and __setstate__, which run when the file is written and read.

#include <torch/script.h>

#include <fstream>
#include <iostream>
#include <sstream>

static std::string text_of(const char *path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

int main(int count, char **arguments) {
    if (count < 3 || count > 4) {
        std::cerr << "usage: script_model OUT.ts FORWARD [ON_LOAD]\n";
        return 2;
    }
    try {
        auto unit = std::make_shared<torch::jit::CompilationUnit>();
        torch::jit::Module root(c10::QualifiedName("__torch__.gantry.Scripted"), unit, true);
        root.register_parameter("weight", torch::ones({1, 1}), false);
        root.register_parameter("bias", torch::zeros({1}), false);
        if (count == 4) {
            torch::jit::Module child(c10::QualifiedName("__torch__.gantry.OnLoad"), unit, true);
            child.register_attribute("seen", c10::TensorType::get(), torch::zeros({1}));
            child.register_attribute("training", c10::BoolType::get(), false);
            child.define(text_of(arguments[3]));
            root.register_module("on_load", child);
        }
        root.define(text_of(arguments[2]));
        root.save(arguments[1]);
    } catch (const std::exception &error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
    return 0;
}
