// Threads that wait for the next call, and the barrier between the steps of threads that share a sequence.
#pragma once

namespace gatescope {

constexpr int MAX_THREADS = 64;

// Uses the OpenMP library that another library of the process (PyTorch) has loaded. Its threads stay awake for a while
// after every use: using the same threads costs nothing, while other threads would compete with them for processors.
// `parallel` is GOMP_parallel, the others are omp_get_thread_num and omp_get_num_threads.
void share_openmp(void* parallel, void* thread_number, void* thread_count);

// The threads of the process for one call: `requested` threads, or only the calling one while another call uses them.
class Threads {
public:
    explicit Threads(int requested);
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;
    ~Threads();

    int count() const { return count_; }

    // Uses only `count` of them.
    void keep(int count);

    // work(context, k) for k = 0 .. count() - 1 at the same time, k = 0 on the calling thread; returns when all are
    // done.
    void run(void (*work)(void* context, int worker), void* context);

private:
    void release();

    int count_;
    void* pool_ = nullptr;
};

// Yields the processor for a moment, so that the thread that is waited for can run on it.
void rest_thread();

}  // namespace gatescope
