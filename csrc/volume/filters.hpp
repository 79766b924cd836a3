// Steps that look at where a voxel lies, or at those around it.
#pragma once

#include "volume/steps.hpp"

namespace medshard::volume {

// A Gaussian of `sigma` voxels along z, y and x, cut off at four of them; mirrored about the outermost
// voxels.
void blur(float* values, const std::int32_t shape[3], const float sigma[3], StepScratch& scratch);

// Nearest neighbours at `zoom` times the size, along y and x only where `in_plane`; then linear interpolation
// back.
void low_resolution(float* values, const std::int32_t shape[3], float zoom, bool in_plane,
                    StepScratch& scratch);

// Times exp of a polynomial in z, y, x from -1 to 1: coefficients of z^a y^b x^c with a + b + c at most
// `order`, a slowest.
void bias_field(float* values, const std::int32_t shape[3], int order, const float* coefficients,
                StepScratch& scratch);

}  // namespace medshard::volume
