#include "pipeline/engine.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>

#include "augment/elastic.hpp"
#include "bindings/module.hpp"
#include "core/buffer_ring.hpp"

namespace nb = nanobind;

namespace medshard::bindings {
namespace {

// How long a signal may wait: Ctrl-C is seen by the interpreter when it is asked.
constexpr pipeline::Patience kPoll{50};

// An engine that starts at the first batch. It belongs to the process that started it: a forked child makes
// its own and leaves the parent's alone, since threads do not survive a fork. The interpreter's lock guards
// the members.
class Engine {
 public:
  Engine(unsigned threads, unsigned in_flight) : threads_(threads), in_flight_(in_flight) {}
  ~Engine() {
    if (pid_ == getpid()) return;
    if (engine_ != nullptr) new std::shared_ptr<pipeline::Engine>(std::move(engine_));  // never destroyed
  }

  unsigned threads() const { return threads_; }

  pipeline::Ticket submit(nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu, nb::ro> jobs,
                          std::uint64_t out, int channels, int type, bool channels_last, bool nearest,
                          bool clamp, int reduce, std::vector<float> mean, std::vector<float> deviation,
                          std::uint64_t max_pixels, const std::vector<std::array<std::int32_t, 4>>& steps,
                          int filter, std::array<int, 3> patches) {
    if (jobs.shape(0) % sizeof(pipeline::Job) != 0)
      throw nb::value_error("jobs are not of the layout of JOB");
    std::vector<pipeline::Job> list(jobs.shape(0) / sizeof(pipeline::Job));
    if (!list.empty()) std::memcpy(list.data(), jobs.data(), jobs.shape(0));
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
    for (const auto& [kind, first, params, place] : steps) {
      if (kind < 0 || kind >= pipeline::kStepKinds) throw nb::value_error("there is no such kind of step");
      batch.steps.push_back({static_cast<pipeline::StepKind>(kind), first, params, place});
    }
    const std::shared_ptr<pipeline::Engine> engine = started();
    for (;;) {
      {
        nb::gil_scoped_release release;
        if (const auto ticket = engine->submit(std::move(list), std::move(batch), kPoll)) return *ticket;
      }
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
  }

  // (whether it was cancelled, messages of the jobs that failed by index)
  nb::tuple wait(pipeline::Ticket ticket) {
    const std::shared_ptr<pipeline::Engine> engine = started();
    for (;;) {
      std::optional<pipeline::Outcome> outcome;
      {
        nb::gil_scoped_release release;
        outcome = engine->wait(ticket, kPoll);
      }
      if (outcome) {
        nb::dict failed;
        for (const pipeline::Failure& failure : outcome->failures) {
          failed[nb::int_(failure.job)] = nb::str(failure.reason.c_str());
        }
        return nb::make_tuple(outcome->cancelled, failed);
      }
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
  }

  // Whether no job of a batch runs or will run; its outcome is then gone.
  bool forget(pipeline::Ticket ticket) {
    try {
      return started()->wait(ticket, pipeline::Patience{0}).has_value();
    } catch (const std::invalid_argument&) {
      return true;
    }
  }

  void cancel(pipeline::Ticket ticket) { started()->cancel(ticket); }

  void close() {
    if (pid_ != getpid() || engine_ == nullptr) return;
    const std::shared_ptr<pipeline::Engine> engine = std::move(engine_);
    nb::gil_scoped_release release;
    engine->stop();
  }

  nb::dict counters() const {
    const bool ours = pid_ == getpid() && engine_ != nullptr;
    const pipeline::Counters counted = ours ? engine_->counters() : pipeline::Counters{};
    const auto seconds = [](std::uint64_t ns) { return static_cast<double>(ns) * 1e-9; };
    nb::dict told;
    told["batches"] = counted.batches;
    told["jobs"] = counted.jobs;
    told["waiting_batches"] = counted.waiting_batches;
    told["decode_s"] = seconds(counted.stages[static_cast<std::size_t>(pipeline::Stage::decode)]);
    told["sample_s"] = seconds(counted.stages[static_cast<std::size_t>(pipeline::Stage::sample)]);
    told["store_s"] = seconds(counted.stages[static_cast<std::size_t>(pipeline::Stage::store)]);
    told["idle_s"] = seconds(counted.idle_ns);
    return told;
  }

 private:
  std::shared_ptr<pipeline::Engine> started() {
    if (pid_ != getpid()) {
      if (engine_ != nullptr) new std::shared_ptr<pipeline::Engine>(std::move(engine_));  // of a parent
      engine_ = nullptr;
      pid_ = getpid();
    }
    if (engine_ == nullptr) engine_ = std::make_shared<pipeline::Engine>(threads_, in_flight_);
    return engine_;
  }

  unsigned threads_, in_flight_;
  std::shared_ptr<pipeline::Engine> engine_;
  pid_t pid_ = -1;
};

// Bytes of a buffer as a numpy array; the buffer is free again when nothing refers to the array's memory.
nb::object take(const std::shared_ptr<core::BufferRing>& ring, std::size_t bytes) {
  auto* kept = new std::shared_ptr<std::uint8_t>(ring->take(bytes));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::shared_ptr<std::uint8_t>*>(p); });
  const std::size_t shape[1] = {bytes};
  return nb::cast(nb::ndarray<nb::numpy>(kept->get(), 1, shape, owner, nullptr, nb::dtype<std::uint8_t>()));
}

// The interpreter's lock is held whenever a ring's own is, so no fork finds that one taken.
class BufferRing {
 public:
  explicit BufferRing(std::size_t kept) : ring_(core::BufferRing::make(kept)) {}

  nb::object take_bytes(std::size_t bytes) const { return take(ring_, bytes); }

  nb::dict counts() const {
    const core::BufferRing::Counts counted = ring_->counts();
    nb::dict told;
    told["fresh"] = counted.fresh;
    told["reused"] = counted.reused;
    told["free_buffers"] = counted.free_buffers;
    told["free_bytes"] = counted.free_bytes;
    return told;
  }

 private:
  std::shared_ptr<core::BufferRing> ring_;
};

}  // namespace

void bind_engine(nb::module_& m) {
  m.attr("JOB_BYTES") = sizeof(pipeline::Job);
  m.def(
      "displace",
      [](nb::ndarray<double, nb::ndim<1>, nb::c_contig, nb::device::cpu> points, std::uint64_t seed,
         double spacing_x, double spacing_y, double amplitude_x, double amplitude_y) {
        if (!(spacing_x > 0 && spacing_y > 0)) throw nb::value_error("spacing is above 0");
        const augment::Elastic elastic{seed, {spacing_x, spacing_y}, {amplitude_x, amplitude_y}};
        double* at = points.data();
        const std::size_t count = points.shape(0) / 2;
        nb::gil_scoped_release release;
        for (std::size_t i = 0; i < count; ++i) augment::displace(elastic, at[2 * i], at[2 * i + 1]);
      },
      nb::arg("points"), nb::arg("seed"), nb::arg("spacing_x"), nb::arg("spacing_y"), nb::arg("amplitude_x"),
      nb::arg("amplitude_y"));
  nb::class_<Engine>(m, "Engine")
      .def(nb::init<unsigned, unsigned>(), nb::arg("threads"), nb::arg("in_flight"))
      .def_prop_ro("threads", &Engine::threads)
      .def("submit", &Engine::submit, nb::arg("jobs"), nb::arg("out"), nb::arg("channels"), nb::arg("type"),
           nb::arg("channels_last"), nb::arg("nearest"), nb::arg("clamp"), nb::arg("reduce"), nb::arg("mean"),
           nb::arg("deviation"), nb::arg("max_pixels"), nb::arg("steps"), nb::arg("filter"),
           nb::arg("patches"))
      .def("wait", &Engine::wait, nb::arg("ticket"))
      .def("forget", &Engine::forget, nb::arg("ticket"))
      .def("cancel", &Engine::cancel, nb::arg("ticket"))
      .def("close", &Engine::close)
      .def("counters", &Engine::counters);
  nb::class_<BufferRing>(m, "BufferRing")
      .def(nb::init<std::size_t>(), nb::arg("kept"))
      .def("take", &BufferRing::take_bytes, nb::arg("bytes"))
      .def("counts", &BufferRing::counts);
  // (name, whether its loops are compiled for every SIMD level), by kind.
  m.def("step_features", [] {
    nb::list features;
    for (const pipeline::StepFeature& feature : pipeline::step_features()) {
      features.append(nb::make_tuple(feature.name, feature.simd));
    }
    return features;
  });
}

}  // namespace medshard::bindings
