#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "bindings/module.hpp"
#include "core/thread_pool.hpp"
#include "pipeline/job.hpp"

namespace nb = nanobind;

namespace medshard::bindings {
namespace {

// Threads with their scratch memory. They belong to the process that started them: a forked child makes its
// own and leaves the parent's alone, since threads do not survive a fork.
class Engine {
 public:
  explicit Engine(unsigned threads) : threads_(threads) {}
  ~Engine() {
    if (pid_ == getpid()) {
      workers_.reset();
    } else {
      (void)workers_.release();
    }
  }

  unsigned threads() const { return threads_; }

  // The messages of the jobs that failed, by index. The caller keeps all addresses alive.
  nb::dict run(nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu, nb::ro> jobs,
               std::uint64_t out, int channels, int type, bool channels_last, bool nearest, bool clamp,
               int reduce, std::vector<float> mean, std::vector<float> deviation, std::uint64_t max_pixels,
               int filter, std::array<int, 3> patches) {
    if (jobs.shape(0) % sizeof(pipeline::Job) != 0)
      throw nb::value_error("jobs are not of the layout of JOB");
    const std::size_t count = jobs.shape(0) / sizeof(pipeline::Job);
    pipeline::Batch batch;
    batch.out = reinterpret_cast<std::uint8_t*>(out);
    batch.channels = channels;
    batch.type = static_cast<pipeline::Output>(type);
    batch.channels_last = channels_last;
    batch.nearest = nearest;
    batch.clamp = clamp;
    batch.reduce = reduce;
    batch.mean = std::move(mean);
    batch.deviation = std::move(deviation);
    batch.max_pixels = max_pixels;
    batch.filter = static_cast<augment::Filter>(filter);
    batch.patches = {patches[0], patches[1], patches[2]};
    const auto* list = reinterpret_cast<const pipeline::Job*>(jobs.data());
    std::vector<std::string> failures(count);
    // Jobs that follow one another and share a source are done by one thread, which decodes it once.
    std::vector<std::size_t> groups;
    for (std::size_t index = 0; index < count; ++index) {
      if (index == 0 || !pipeline::share_source(list[index - 1], list[index])) groups.push_back(index);
    }
    groups.push_back(count);
    {
      nb::gil_scoped_release release;
      Workers& workers = started();
      workers.pool.run(groups.size() - 1, [&](std::size_t group, unsigned thread) {
        for (std::size_t index = groups[group]; index < groups[group + 1]; ++index) {
          const bool decoded = index > groups[group] && failures[index - 1].empty();
          failures[index] = pipeline::run_job(list[index], batch, *workers.scratch[thread], decoded);
        }
      });
    }
    nb::dict failed;
    for (std::size_t index = 0; index < count; ++index) {
      if (!failures[index].empty()) failed[nb::int_(index)] = nb::str(failures[index].c_str());
    }
    return failed;
  }

 private:
  using ScratchPointer = std::unique_ptr<pipeline::Scratch, decltype(&pipeline::free_scratch)>;

  struct Workers {
    explicit Workers(unsigned threads) : pool(threads) {
      for (unsigned thread = 0; thread < pool.size(); ++thread) {
        scratch.emplace_back(pipeline::make_scratch(), pipeline::free_scratch);
      }
    }
    std::vector<ScratchPointer> scratch;
    core::ThreadPool pool;
  };

  Workers& started() {
    std::lock_guard<std::mutex> lock(starting_);
    if (pid_ != getpid()) {
      (void)workers_.release();  // of a parent, or none
      workers_ = std::make_unique<Workers>(threads_);
      pid_ = getpid();
    }
    return *workers_;
  }

  unsigned threads_;
  std::unique_ptr<Workers> workers_;
  pid_t pid_ = -1;
  std::mutex starting_;
};

}  // namespace

void bind_engine(nb::module_& m) {
  m.attr("JOB_BYTES") = sizeof(pipeline::Job);
  nb::class_<Engine>(m, "Engine")
      .def(nb::init<unsigned>(), nb::arg("threads"))
      .def_prop_ro("threads", &Engine::threads)
      .def("run", &Engine::run, nb::arg("jobs"), nb::arg("out"), nb::arg("channels"), nb::arg("type"),
           nb::arg("channels_last"), nb::arg("nearest"), nb::arg("clamp"), nb::arg("reduce"), nb::arg("mean"),
           nb::arg("deviation"), nb::arg("max_pixels"), nb::arg("filter"), nb::arg("patches"));
}

}  // namespace medshard::bindings
