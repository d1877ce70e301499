// What Python sees of the kernels.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

namespace nb = nanobind;

namespace {

// The instruction-set levels that this processor can run, the fastest last.
std::vector<std::string> levels() {
    std::vector<std::string> names = {"baseline"};
#if defined(GATESCOPE_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        names.push_back("avx2");
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
            names.push_back("avx512");
        }
    }
#endif
    return names;
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "The kernels of the native engine.";
    module.def("levels", &levels, "The instruction-set levels that this processor can run, the fastest last.");
}
