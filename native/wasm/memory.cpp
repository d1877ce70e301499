// memory.hpp for WebAssembly: one linear memory that grows and never shrinks, and a list of its free parts.
//
// Nothing here throws. Where native code throws std::bad_alloc, an imported function throws an error of JavaScript, which
// ends the call without running destructors; recover_memory() then takes back what the call held.
#include "memory.hpp"

#include <cstdint>

#include "wasm/recovery.hpp"

namespace gatescope {
namespace {

constexpr size_t LINE_BYTES = 64, WASM_PAGE_BYTES = 65536;
constexpr size_t MAX_BUFFER_BYTES = (size_t(1) << 31) - WASM_PAGE_BYTES;  // a larger one breaks pointer differences
constexpr int MAX_HELD = 512;

// A free part of the memory; the list is sorted by address, and no two parts touch.
struct Free {
    size_t bytes;
    Free* next;
};

Free* first_free = nullptr;

struct {
    void* memory;
    size_t bytes;
} held[MAX_HELD];  // the buffers of the running call
int held_count = 0;

size_t rounded(size_t bytes) { return bytes ? (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES : LINE_BYTES; }

char* end_of(Free* part) { return reinterpret_cast<char*>(part) + part->bytes; }

// Adds pages to the memory, so that the last free part has at least `bytes`; returns false if there are none.
bool grow(size_t bytes) {
    const size_t end = __builtin_wasm_memory_size(0) * WASM_PAGE_BYTES;
    Free* last = first_free;
    while (last && last->next) last = last->next;
    const size_t present = last && reinterpret_cast<size_t>(end_of(last)) == end ? last->bytes : 0;
    const size_t pages = (bytes - present + WASM_PAGE_BYTES - 1) / WASM_PAGE_BYTES;
    const size_t before = __builtin_wasm_memory_grow(0, pages);
    if (before == SIZE_MAX) return false;
    // The last byte of the address space stays unused, so that the end of a buffer is never address 0.
    size_t added = pages * WASM_PAGE_BYTES;
    if (before * WASM_PAGE_BYTES + added == 0) added -= LINE_BYTES;
    give_memory(reinterpret_cast<void*>(before * WASM_PAGE_BYTES), added);
    return true;
}

// Takes the first free part that is large enough; returns null if there is none.
void* take_free(size_t bytes) {
    for (Free** place = &first_free; *place; place = &(*place)->next) {
        Free* part = *place;
        if (part->bytes < bytes) continue;
        if (part->bytes == bytes) {
            *place = part->next;
        } else {
            Free* rest = reinterpret_cast<Free*>(reinterpret_cast<char*>(part) + bytes);
            *rest = {part->bytes - bytes, part->next};
            *place = rest;
        }
        return part;
    }
    return nullptr;
}

}  // namespace

void* take_memory_or_null(size_t bytes) {
    if (bytes > MAX_BUFFER_BYTES) return nullptr;
    bytes = rounded(bytes);
    void* memory = take_free(bytes);
    if (memory == nullptr && grow(bytes)) memory = take_free(bytes);
    return memory;
}

void* take_memory(size_t bytes) {
    void* memory = take_memory_or_null(bytes);
    if (memory == nullptr) gatescope_out_of_memory(bytes);
    return memory;
}

void give_memory(void* memory, size_t bytes) noexcept {
    bytes = rounded(bytes);
    Free* part = static_cast<Free*>(memory);
    Free* before = nullptr;
    Free* after = first_free;
    while (after && after < part) {
        before = after;
        after = after->next;
    }
    *part = {bytes, after};
    if (before) before->next = part;
    else first_free = part;
    if (after && end_of(part) == reinterpret_cast<char*>(after)) *part = {part->bytes + after->bytes, after->next};
    if (before && end_of(before) == reinterpret_cast<char*>(part)) {
        *before = {before->bytes + part->bytes, part->next};
    }
}

size_t release_memory() noexcept { return 0; }

void recover_memory() {
    for (int k = 0; k < held_count; ++k) give_memory(held[k].memory, held[k].bytes);
    held_count = 0;
}

// The buffers are listed outside of the object, because they outlive an interrupted call.
Scratch::~Scratch() {
    for (; count_ > 0; --count_) {
        --held_count;
        give_memory(held[held_count].memory, held[held_count].bytes);
    }
}

void* Scratch::take(size_t bytes) {
    if (held_count == MAX_HELD) gatescope_out_of_memory(bytes);
    void* memory = take_memory(bytes);
    held[held_count++] = {memory, bytes};
    ++count_;
    return memory;
}

}  // namespace gatescope
