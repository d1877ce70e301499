// Buffers that are kept for the next call: the first touch of a fresh page costs more than filling it.
#pragma once

#include <cstddef>

namespace gatescope {

// Memory of at least `bytes`, aligned to 64 bytes, its contents undefined. Throws std::bad_alloc.
void* take_memory(size_t bytes);

// Gives back what take_memory(bytes) returned.
void give_memory(void* memory, size_t bytes) noexcept;

// Gives every kept buffer back to the system; returns how many bytes that were.
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
    static constexpr int MOST = 512;
    struct {
        void* memory;
        size_t bytes;
    } held_[MOST];
    int count_ = 0;
};

}  // namespace gatescope
