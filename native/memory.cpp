#include "memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

namespace gatescope {
namespace {

constexpr size_t LARGE = size_t(1) << 17;       // from here on a buffer has pages of its own
constexpr size_t HUGE_PAGE = size_t(2) << 20;   // where the system has them, one fault brings this much
constexpr size_t KEPT_AT_MOST = size_t(1) << 30;

// Sizes are rounded up to a quarter of a power of two, so that similar requests share buffers.
size_t rounded(size_t bytes) {
    size_t step = 64;
    while (step * 8 <= bytes) step *= 2;
    if (bytes >= LARGE && step < 4096) step = 4096;
    return (bytes + step - 1) / step * step;
}

void* fresh(size_t bytes) {
    if (bytes < LARGE) {
        void* memory = nullptr;
        if (posix_memalign(&memory, 64, bytes) != 0) throw std::bad_alloc();
        return memory;
    }
    const size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : 4096;
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, bytes) != 0) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (alignment == HUGE_PAGE) madvise(memory, bytes, MADV_HUGEPAGE);  // a wish; that it fails changes nothing
#endif
    return memory;
}

struct Pool {
    std::mutex mutex;
    std::unordered_map<size_t, std::vector<void*>> free;
    size_t kept = 0;
};

// Never destroyed: tensors may outlive the module's other data when the interpreter ends.
Pool& pool() {
    static Pool* one = new Pool;
    return *one;
}

}  // namespace

void* take_memory(size_t bytes) {
    bytes = rounded(bytes ? bytes : 1);
    {
        Pool& from = pool();
        std::lock_guard<std::mutex> lock(from.mutex);
        auto found = from.free.find(bytes);
        if (found != from.free.end() && !found->second.empty()) {
            void* memory = found->second.back();
            found->second.pop_back();
            from.kept -= bytes;
            return memory;
        }
    }
    return fresh(bytes);
}

void give_memory(void* memory, size_t bytes) noexcept {
    bytes = rounded(bytes ? bytes : 1);
    try {
        Pool& to = pool();
        std::lock_guard<std::mutex> lock(to.mutex);
        if (to.kept + bytes <= KEPT_AT_MOST) {
            to.free[bytes].push_back(memory);
            to.kept += bytes;
            return;
        }
    } catch (...) {  // no memory for the list itself: then nothing is kept
    }
    free(memory);
}

size_t release_memory() noexcept {
    Pool& from = pool();
    std::lock_guard<std::mutex> lock(from.mutex);
    for (auto& [bytes, buffers] : from.free) {
        for (void* memory : buffers) free(memory);
    }
    from.free.clear();
    const size_t released = from.kept;
    from.kept = 0;
    return released;
}

Scratch::~Scratch() {
    for (int k = 0; k < count_; ++k) give_memory(held_[k].memory, held_[k].bytes);
}

void* Scratch::take(size_t bytes) {
    if (count_ == MOST) throw std::bad_alloc();
    void* memory = take_memory(bytes);
    held_[count_++] = {memory, bytes};
    return memory;
}

}  // namespace gatescope
