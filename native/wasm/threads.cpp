// threads.hpp for WebAssembly: the calling thread alone.
#include "threads.hpp"

namespace gatescope {

void share_openmp(void*, void*, void*) {}
void rest_thread() {}

Threads::Threads(int) : count_(1) {}
Threads::~Threads() {}
void Threads::keep(int) {}
void Threads::run(void (*work)(void*, int), void* context) { work(context, 0); }
void Threads::release() {}

}  // namespace gatescope
