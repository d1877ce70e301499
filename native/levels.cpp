#include "levels.hpp"

namespace gatescope {
namespace baseline {
extern const Level LEVEL;
}
#if defined(GATESCOPE_X86)
namespace avx2 {
extern const Level LEVEL;
}
namespace avx512 {
extern const Level LEVEL;
}
#endif

std::vector<const Level*> supported_levels() {
    std::vector<const Level*> levels = {&baseline::LEVEL};
#if defined(GATESCOPE_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        levels.push_back(&avx2::LEVEL);
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
            levels.push_back(&avx512::LEVEL);
        }
    }
#endif
    return levels;
}

}  // namespace gatescope
