#include "augment/kernels.hpp"

namespace medshard::augment {
namespace scalar_level {
#include "augment/kernels.inl"
}  // namespace scalar_level

const Kernels& scalar_kernels() { return scalar_level::table(); }

}  // namespace medshard::augment
