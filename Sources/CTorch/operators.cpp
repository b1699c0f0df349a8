// SPDX-License-Identifier: GPL-3.0-or-later
#include "operators.hpp"

#include <torch/csrc/jit/runtime/operator.h>

#include <map>
#include <set>

#include "failure.hpp"

namespace gantry {

namespace {

// What is refused, and the first place of each.
class Walk {
public:
    explicit Walk(const torch::jit::Module &module) {
        for (const auto &part : module.named_modules()) {
            const auto &type = part.value.type();
            for (torch::jit::Function *method : type->methods()) {
                place(method, (part.name.empty() ? "" : part.name + ".") + method->name());
            }
            // Not run by `forward`, but by whoever calls the module.
            for (torch::jit::Function *hook : type->getForwardHooks()) visit(hook);
            for (torch::jit::Function *hook : type->getForwardPreHooks()) visit(hook);
            look_at(type);
        }
        // All functions and all methods of all classes that the file defines, also those that are never called.
        for (torch::jit::Function *function : module._ivalue()->compilation_unit()->get_functions()) visit(function);
    }

    void report() const {
        if (refused_.empty()) return;
        std::string list;
        size_t named = 0;
        for (const auto &[name, where] : refused_) {
            if (++named > 8) {
                list += " and " + std::to_string(refused_.size() - 8) + " more";
                break;
            }
            list += (list.empty() ? "" : ", ") + name + " (in " + where + ")";
        }
        throw Failure{
            GANTRY_TORCH_FAILED,
            "the model uses what no model may use: " + list +
                "; export it with operators that only compute on tensors (README, “For the model author”)"};
    }

private:
    void place(torch::jit::Function *function, const std::string &path) { places_.emplace(function, path); }

    void visit(torch::jit::Function *function) {
        if (!seen_.insert(function).second) return;
        const auto known = places_.find(function);
        const std::string where = known != places_.end() ? known->second : function->qualname().qualifiedName();
        if (!function->isGraphFunction()) {
            refuse("a function in C++", where);
            return;
        }
        function->ensure_defined();
        visit(torch::jit::toGraphFunction(*function).graph()->block(), where);
    }

    void visit(const torch::jit::Block *block, const std::string &where) {
        for (const torch::jit::Node *node : block->nodes()) {
            const std::string name = node->kind().toQualString();
            if (!is_allowed(name)) refuse(name, where);
            for (const torch::jit::Block *inner : node->blocks()) visit(inner, where);
            for (const c10::Symbol attribute : node->attributeNames()) {
                if (node->kindOf(attribute) == torch::jit::AttributeKind::g) {
                    visit(node->g(attribute)->block(), where);
                } else if (node->kindOf(attribute) == torch::jit::AttributeKind::gs) {
                    for (const auto &graph : node->gs(attribute)) visit(graph->block(), where);
                }
            }
            for (const torch::jit::Value *output : node->outputs()) look_at(output->type(), where);
        }
    }

    // Classes of C++ code (packed weights, process groups) read their own state from the file.
    void look_at(const c10::TypePtr &type, const std::string &where) {
        const auto class_type = type->cast<c10::ClassType>();
        if (class_type && class_type->name() &&
            class_type->name()->qualifiedName().rfind("__torch__.torch.classes.", 0) == 0) {
            refuse(class_type->name()->qualifiedName().substr(10), where);
        }
        for (const auto &contained : type->containedTypes()) {
            if (contained->kind() != c10::TypeKind::ClassType || looked_at_.insert(contained.get()).second) {
                look_at(contained, where);
            }
        }
    }

    void look_at(const std::shared_ptr<c10::ClassType> &type) {
        for (size_t index = 0; index < type->numAttributes(); ++index) {
            look_at(type->getAttribute(index), type->getAttributeName(index));
        }
    }

    void refuse(const std::string &what, const std::string &where) { refused_.emplace(what, where); }

    std::map<torch::jit::Function *, std::string> places_;
    std::set<torch::jit::Function *> seen_;
    std::set<const c10::Type *> looked_at_;
    std::map<std::string, std::string> refused_;
};

}  // namespace

void check_operators(const torch::jit::Module &module) { Walk(module).report(); }

}  // namespace gantry

int32_t gantry_torch_operator(size_t index, char *schema, size_t schema_capacity, int32_t *is_allowed) {
    const gantry::ErrorText text{schema, schema_capacity};
    return gantry::guarded(text, [&] {
        static const auto operators = torch::jit::getAllOperators();
        if (index >= operators.size()) throw gantry::Failure{GANTRY_TORCH_ARGUMENT, "there are fewer operators"};
        const c10::FunctionSchema &found = operators[index]->schema();
        std::ostringstream written;
        written << found;
        text.set(written.str());
        *is_allowed = gantry::is_allowed(found.name()) ? 1 : 0;
    });
}
