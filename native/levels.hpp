// The instruction-set levels that the kernels were compiled for.
#pragma once

#include <vector>

#include "request.hpp"

namespace gatescope {

// Returns the levels that this processor can run, the fastest last.
std::vector<const Level*> supported_levels();

}  // namespace gatescope
