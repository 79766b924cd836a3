// Runs a fuzz target where there is no libFuzzer: replays a corpus, then changes its inputs, and keeps those
// that reach code which none reached before (gcc's -fsanitize-coverage=trace-pc). The same seed gives the
// same inputs.
//
//   fuzz_NAME [-max_total_time=SECONDS] [-runs=COUNT] [-seed=NUMBER] [-max_len=BYTES] [-timeout=SECONDS]
//             [-artifact_prefix=PATH] FILE|FOLDER...
//
// Arguments are libFuzzer's. Without a time or a count the corpus is replayed, and no more. An input that
// ends the program, or that takes longer than its time (10 seconds), is written to PATH + crash-HASH, or
// timeout-HASH.
#include <sanitizer/common_interface_defs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

constexpr std::size_t kMostKept = 5000;

// Which places of the code this input has reached, by a hash of the address, also as a list; and which any
// has.
constexpr std::size_t kPlaces = 1u << 16;
std::uint8_t reached[kPlaces], ever[kPlaces];
std::uint16_t list[kPlaces];
std::size_t listed = 0;

Input running;
std::string artifact_prefix;
unsigned most_seconds = 10;  // of one input
const char* ended_as = "crash-";

std::uint64_t hash_of(const Input& input) {
  std::uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a
  for (const std::uint8_t byte : input) hash = (hash ^ byte) * 0x100000001B3u;
  return hash;
}

void write_running() {
  char name[32];
  std::snprintf(name, sizeof name, "%s%016llx", ended_as, static_cast<unsigned long long>(hash_of(running)));
  const std::string path = artifact_prefix + name;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(running.data()), static_cast<std::streamsize>(running.size()));
  std::fprintf(stderr, "the input is in %s (%zu bytes)\n", path.c_str(), running.size());
}

void on_alarm(int) {
  ended_as = "timeout-";
  std::fprintf(stderr, "an input takes over %u s\n", most_seconds);
  write_running();
  _exit(70);
}

// Whether it reached something new.
bool run(const Input& input) {
  running = input;  // kept apart, for a target that writes into what it is given
  alarm(most_seconds);
  // A copy of just its size, so that reading past its end is seen.
  const Input exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  alarm(0);
  bool fresh = false;
  for (; listed > 0; --listed) {
    const std::uint16_t place = list[listed - 1];
    fresh |= !ever[place];
    ever[place] = 1;
    reached[place] = 0;
  }
  return fresh;
}

class Mutator {
 public:
  Mutator(std::uint64_t seed, std::size_t most) : numbers_(seed), most_(most) {}

  Input change(const std::vector<Input>& corpus) {
    Input input = corpus[below(corpus.size())];
    for (std::size_t left = std::size_t{1} << below(5); left > 0; --left) change_once(input, corpus);
    if (input.size() > most_) input.resize(most_);
    return input;
  }

 private:
  std::size_t below(std::size_t count) { return count == 0 ? 0 : numbers_() % count; }

  void change_once(Input& input, const std::vector<Input>& corpus) {
    static constexpr std::uint8_t kEdges[] = {0, 1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 192, 254, 255};
    if (input.empty()) input.push_back(0);
    const std::size_t place = below(input.size());
    const std::size_t length =
        1 + below(std::min<std::size_t>(input.size() - place, std::size_t{1} << below(9)));
    const auto at = [&](std::size_t offset) { return input.begin() + static_cast<std::ptrdiff_t>(offset); };
    switch (below(9)) {
      case 0:
        input[place] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        input[place] = static_cast<std::uint8_t>(numbers_());
        break;
      case 2:
        input[place] = kEdges[below(std::size(kEdges))];
        break;
      case 3:
        input[place] = static_cast<std::uint8_t>(input[place] + below(9) - 4);
        break;
      case 4:  // a length or an offset of two or four bytes
        for (std::size_t byte = 0, width = below(2) ? 2 : 4; byte < width && place + byte < input.size();
             ++byte) {
          input[place + byte] = kEdges[below(std::size(kEdges))];
        }
        break;
      case 5:
        input.erase(at(place), at(place + length));
        break;
      case 6: {  // a stretch twice
        const Input part(at(place), at(place + length));
        input.insert(at(below(input.size() + 1)), part.begin(), part.end());
        break;
      }
      case 7:
        input.resize(place);
        break;
      default: {  // a stretch of another input
        const Input& other = corpus[below(corpus.size())];
        if (other.empty()) break;
        const std::size_t from = below(other.size());
        const std::size_t count =
            std::min({other.size() - from, input.size() - place, std::size_t{1} << below(10)});
        std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from), count, at(place));
      }
    }
  }

  std::mt19937_64 numbers_;
  std::size_t most_;
};

std::vector<Input> read_corpus(const std::vector<std::string>& places, std::size_t most) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const std::string& place : places) {
    if (!fs::is_directory(place)) {
      files.emplace_back(place);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(place)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Input> corpus;
  for (const fs::path& file : files) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      std::fprintf(stderr, "%s cannot be read\n", file.c_str());
      std::exit(2);
    }
    Input input{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (input.size() <= most) corpus.push_back(std::move(input));
  }
  return corpus;
}

}  // namespace

extern "C" __attribute__((no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc() {
  const auto address = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  const auto place = static_cast<std::uint16_t>(address ^ (address >> 16));
  if (reached[place]) return;
  reached[place] = 1;
  list[listed++] = place;
}

// An exception that nobody catches is written like other findings; memory for one input is bounded.
extern "C" const char* __asan_default_options() {
  return "handle_abort=1:max_allocation_size_mb=1024:allocator_may_return_null=1";
}

// With gcc this sanitizer ends the program by itself, without the callback; an abort is seen by the other.
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

int main(int count, char** arguments) {
  double seconds = 0;
  std::uint64_t runs = 0, seed = 1;
  std::size_t most = 1u << 20;
  std::vector<std::string> places;
  for (int number = 1; number < count; ++number) {
    const std::string argument = arguments[number];
    const auto value = [&](std::string_view name) -> const char* {
      return argument.compare(0, name.size(), name) == 0 ? argument.c_str() + name.size() : nullptr;
    };
    if (const char* text = value("-max_total_time=")) {
      seconds = std::atof(text);
    } else if (const char* text = value("-runs=")) {
      runs = std::strtoull(text, nullptr, 10);
    } else if (const char* text = value("-seed=")) {
      seed = std::strtoull(text, nullptr, 10);
    } else if (const char* text = value("-max_len=")) {
      most = std::strtoull(text, nullptr, 10);
    } else if (const char* text = value("-timeout=")) {
      most_seconds = static_cast<unsigned>(std::strtoul(text, nullptr, 10));
    } else if (const char* text = value("-artifact_prefix=")) {
      artifact_prefix = text;
    } else if (argument[0] != '-') {
      places.push_back(argument);
    }  // others of libFuzzer's have no meaning here
  }
  __sanitizer_set_death_callback(write_running);
  std::signal(SIGALRM, on_alarm);

  std::vector<Input> corpus = read_corpus(places, most);
  for (const Input& input : corpus) run(input);
  const std::size_t seeds = corpus.size();
  if (corpus.empty()) corpus.emplace_back();

  using Clock = std::chrono::steady_clock;
  const Clock::time_point began = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - began).count(); };
  Mutator mutator(seed, most);
  std::uint64_t executed = 0;
  while ((runs > 0 || seconds > 0) && (runs == 0 || executed < runs) &&
         (seconds <= 0 || passed() < seconds)) {
    Input input = mutator.change(corpus);
    if (run(input) && corpus.size() < seeds + kMostKept) corpus.push_back(std::move(input));
    ++executed;
  }
  std::printf("%zu seeds and %llu changed inputs, %zu of them reached something new, %.0f s, seed %llu\n",
              seeds, static_cast<unsigned long long>(executed),
              corpus.size() - std::max<std::size_t>(seeds, 1), passed(),
              static_cast<unsigned long long>(seed));
}
