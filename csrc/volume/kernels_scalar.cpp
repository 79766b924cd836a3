#include "volume/kernels.hpp"

namespace medshard::volume {
namespace scalar_level {
#include "volume/kernels.inl"
}  // namespace scalar_level

const SamplingKernels& scalar_sampling_kernels() { return scalar_level::table(); }

}  // namespace medshard::volume
