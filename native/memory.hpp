// A pool of buffers for later calls: the first access to a fresh page costs more than filling it.
#pragma once

#include <cstddef>

namespace gatescope {

// Returns memory of at least `bytes`, aligned to 64 bytes, with undefined contents. Throws std::bad_alloc.
void* take_memory(size_t bytes);

// Returns the memory of take_memory(bytes) to the pool.
void give_memory(void* memory, size_t bytes) noexcept;

// Returns every buffer of the pool to the system; returns their size in bytes.
size_t release_memory() noexcept;

// The working memory of one call.
class Scratch {
public:
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch();

    void* take(size_t bytes);

private:
    static constexpr int MAX_BUFFERS = 512;
    struct {
        void* memory;
        size_t bytes;
    } buffers_[MAX_BUFFERS];
    int count_ = 0;
};

}  // namespace gatescope
