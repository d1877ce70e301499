// levels.hpp for WebAssembly: a module has one level. Used by tests/exercise.cpp only.
#include "levels.hpp"

namespace gatescope {
namespace wasm {
extern const Level LEVEL;
}

std::vector<const Level*> supported_levels() { return {&wasm::LEVEL}; }

}  // namespace gatescope
