#include "memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

namespace gatescope {
namespace {

constexpr size_t PAGE_BYTES = 4096, LINE_BYTES = 64;
constexpr size_t MIN_PAGED_BYTES = size_t(1) << 17;  // from this size on, a buffer has pages of its own
constexpr size_t HUGE_PAGE_BYTES = size_t(2) << 20;  // mapped by a single fault where the system has huge pages
constexpr size_t POOL_BYTES = size_t(1) << 30;       // the pool keeps no more than this

// Sizes are rounded up to a quarter of a power of two, so that similar requests share buffers.
size_t rounded(size_t bytes) {
    size_t step = LINE_BYTES;
    while (step * 8 <= bytes) step *= 2;
    if (bytes >= MIN_PAGED_BYTES && step < PAGE_BYTES) step = PAGE_BYTES;
    return (bytes + step - 1) / step * step;
}

// Takes memory from the system.
void* allocate(size_t bytes) {
    size_t alignment = LINE_BYTES;
    if (bytes >= MIN_PAGED_BYTES) alignment = PAGE_BYTES;
    if (bytes >= HUGE_PAGE_BYTES) alignment = HUGE_PAGE_BYTES;
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
        Pool& shared = pool();
        std::lock_guard<std::mutex> lock(shared.mutex);
        auto buffers = shared.free.find(bytes);
        if (buffers != shared.free.end() && !buffers->second.empty()) {
            void* memory = buffers->second.back();
            buffers->second.pop_back();
            shared.bytes -= bytes;
            return memory;
        }
    }
    return allocate(bytes);
}

void give_memory(void* memory, size_t bytes) noexcept {
    bytes = rounded(bytes ? bytes : 1);
    try {
        Pool& shared = pool();
        std::lock_guard<std::mutex> lock(shared.mutex);
        if (shared.bytes + bytes <= POOL_BYTES) {
            shared.free[bytes].push_back(memory);
            shared.bytes += bytes;
            return;
        }
    } catch (...) {  // no memory for the list itself: the buffer goes back to the system
    }
    free(memory);
}

size_t release_memory() noexcept {
    Pool& shared = pool();
    std::lock_guard<std::mutex> lock(shared.mutex);
    for (auto& [bytes, buffers] : shared.free) {
        for (void* memory : buffers) free(memory);
    }
    shared.free.clear();
    const size_t released = shared.bytes;
    shared.bytes = 0;
    return released;
}

Scratch::~Scratch() {
    for (int k = 0; k < count_; ++k) give_memory(buffers_[k].memory, buffers_[k].bytes);
}

void* Scratch::take(size_t bytes) {
    if (count_ == MAX_BUFFERS) throw std::bad_alloc();
    void* memory = take_memory(bytes);
    buffers_[count_++] = {memory, bytes};
    return memory;
}

}  // namespace gatescope
