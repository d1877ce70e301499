// Out of memory without exceptions: what the WebAssembly module needs beyond memory.hpp.
#pragma once

#include <cstddef>

namespace gatescope {

// As take_memory, but returns null if there is no memory.
void* take_memory_or_null(size_t bytes);

// Takes back the working memory of a call that an error of JavaScript ended.
void recover_memory();

}  // namespace gatescope

// Imported: throws an error of JavaScript with this number of bytes.
extern "C" [[noreturn]] __attribute__((import_module("gatescope"), import_name("out_of_memory"))) void
gatescope_out_of_memory(size_t bytes);
