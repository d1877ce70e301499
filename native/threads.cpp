#include "threads.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace gatescope {
namespace {

constexpr int SPINS = 4000;  // about 50 microseconds: the threads are still awake for the next of several calls

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

class Pool {
public:
    bool reserve() { return busy_.try_lock(); }
    void release() { busy_.unlock(); }

    void run(int threads, void (*work)(void*, int), void* context) {
        while (started_ < threads - 1) start();
        work_ = work;
        context_ = context;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            workers_ = threads - 1;
            running_.store(threads - 1, std::memory_order_relaxed);
            call_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        work(context, 0);
        for (int spins = 0; running_.load(std::memory_order_acquire) > 0; ++spins) {
            if (spins < SPINS) pause();
            else rest_thread();
        }
    }

private:
    void start() {
        const int worker = ++started_;
        const unsigned seen = call_.load(std::memory_order_relaxed);
        std::thread([this, worker, seen] { serve(worker, seen); }).detach();
    }

    void serve(int worker, unsigned seen) {
        for (;;) {
            for (int spins = 0; spins < SPINS && call_.load(std::memory_order_acquire) == seen; ++spins) pause();
            bool take_part;
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return call_.load(std::memory_order_relaxed) != seen; });
                seen = call_.load(std::memory_order_relaxed);
                take_part = worker <= workers_;
            }
            if (take_part) {
                work_(context_, worker);
                running_.fetch_sub(1, std::memory_order_release);
            }
        }
    }

    std::mutex busy_, mutex_;
    std::condition_variable wake_;
    std::atomic<unsigned> call_{0};
    std::atomic<int> running_{0};
    int started_ = 0, workers_ = 0;
    void (*work_)(void*, int) = nullptr;
    void* context_ = nullptr;
};

struct OpenMP {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
    int (*thread_number)() = nullptr;
    int (*thread_count)() = nullptr;
    pid_t owner = 0;  // a forked process has the library but not its threads

    // Returns false without running anything if fewer threads are available, as inside another parallel region.
    bool run(int threads, void (*work)(void*, int), void* context) const {
        struct Job {
            const OpenMP* openmp;
            int threads;
            void (*work)(void*, int);
            void* context;
            std::atomic<bool> done;
        } job{this, threads, work, context, {false}};
        parallel(
            [](void* data) {
                Job& job = *static_cast<Job*>(data);
                if (job.openmp->thread_count() != job.threads) return;
                job.work(job.context, job.openmp->thread_number());
                job.done.store(true, std::memory_order_relaxed);
            },
            &job, static_cast<unsigned>(threads), 0);
        return job.done;
    }
};

OpenMP openmp;

}  // namespace

void share_openmp(void* parallel, void* thread_number, void* thread_count) {
    openmp.thread_number = reinterpret_cast<int (*)()>(thread_number);
    openmp.thread_count = reinterpret_cast<int (*)()>(thread_count);
    openmp.owner = getpid();
    openmp.parallel = reinterpret_cast<decltype(openmp.parallel)>(parallel);
}

void rest_thread() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

Threads::Threads(int requested) : count_(1) {
    if (requested < 2) return;
    // A forked process does not have its parent's threads: it makes its own pool and leaves the parent's alone.
    static std::mutex making;
    static Pool* pool = nullptr;
    static pid_t owner = 0;
    std::lock_guard<std::mutex> lock(making);
    if (pool == nullptr || owner != getpid()) {
        pool = new Pool;
        owner = getpid();
    }
    if (!pool->reserve()) return;
    pool_ = pool;
    count_ = requested < MAX_THREADS ? requested : MAX_THREADS;
}

Threads::~Threads() { release(); }

void Threads::keep(int count) {
    count_ = count;
    if (count == 1) release();
}

void Threads::run(void (*work)(void*, int), void* context) {
    if (pool_ == nullptr) return work(context, 0);
    if (openmp.parallel && openmp.owner == getpid() && openmp.run(count_, work, context)) return;
    static_cast<Pool*>(pool_)->run(count_, work, context);
}

void Threads::release() {
    if (pool_) static_cast<Pool*>(pool_)->release();
    pool_ = nullptr;
}

}  // namespace gatescope
