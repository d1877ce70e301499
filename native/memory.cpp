#include "memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

namespace gatescope {
namespace {

constexpr size_t PAGED_BYTES = size_t(1) << 17;      // from this size on, a buffer has pages of its own
constexpr size_t HUGE_PAGE_BYTES = size_t(2) << 20;  // mapped by a single fault where the system has huge pages
constexpr size_t POOL_BYTES = size_t(1) << 30;       // the pool keeps no more than this

// Sizes are rounded up to a quarter of a power of two, so that similar requests share buffers.
size_t rounded(size_t bytes) {
    size_t step = 64;
    while (step * 8 <= bytes) step *= 2;
    if (bytes >= PAGED_BYTES && step < 4096) step = 4096;
    return (bytes + step - 1) / step * step;
}

void* fresh(size_t bytes) {
    if (bytes < PAGED_BYTES) {
        void* memory = nullptr;
        if (posix_memalign(&memory, 64, bytes) != 0) throw std::bad_alloc();
        return memory;
    }
    const size_t alignment = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : 4096;
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, bytes) != 0) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (alignment == HUGE_PAGE_BYTES) madvise(memory, bytes, MADV_HUGEPAGE);  // only a hint: failure does no harm
#endif
    return memory;
}

struct Pool {
    std::mutex mutex;
    std::unordered_map<size_t, std::vector<void*>> free;
    size_t bytes = 0;  // of all free buffers
};

// Never destroyed: tensors may outlive the module's other data when the interpreter ends.
Pool& pool() {
    static Pool* pool = new Pool;
    return *pool;
}

}  // namespace

void* take_memory(size_t bytes) {
    bytes = rounded(bytes ? bytes : 1);
    {
        Pool& from = pool();
        std::lock_guard<std::mutex> lock(from.mutex);
        auto buffers = from.free.find(bytes);
        if (buffers != from.free.end() && !buffers->second.empty()) {
            void* memory = buffers->second.back();
            buffers->second.pop_back();
            from.bytes -= bytes;
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
        if (to.bytes + bytes <= POOL_BYTES) {
            to.free[bytes].push_back(memory);
            to.bytes += bytes;
            return;
        }
    } catch (...) {  // no memory for the list itself: the buffer goes back to the system
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
    const size_t released = from.bytes;
    from.bytes = 0;
    return released;
}

Scratch::~Scratch() {
    for (int k = 0; k < count_; ++k) give_memory(buffers_[k].memory, buffers_[k].bytes);
}

void* Scratch::take(size_t bytes) {
    if (count_ == MOST) throw std::bad_alloc();
    void* memory = take_memory(bytes);
    buffers_[count_++] = {memory, bytes};
    return memory;
}

}  // namespace gatescope
