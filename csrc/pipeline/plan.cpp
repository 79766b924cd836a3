// What a job needs of its source, worked out before anything is decoded.
#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.hpp"
#include "pipeline/sample.hpp"

namespace medshard::pipeline {
namespace {

constexpr int kLongestEdge = 1 << 20;  // of an output, a grid, or a picture with what is added around it

bool is_warped(const Job& job) { return job.grid[0] > 0 || job.grid[1] > 0; }

// Width and height of what the filter makes.
int filtered_size(const Job& job, int axis) {
  if (is_warped(job)) return job.grid[1 - axis];
  const bool of_width = (axis == 0) != (job.transpose != 0);
  return of_width ? job.width : job.height;
}

bool fits(const Job& job, int axis, int length) {
  const double box0 = job.box[axis], box1 = job.box[axis + 2];
  const int low = job.bounds[axis], high = job.bounds[axis + 2];
  const int size = filtered_size(job, axis);
  return low >= 0 && low < high && high <= length && std::isfinite(box0 + box1) && box0 < box1 &&
         std::max(std::abs(box0), std::abs(box1)) < kLongestEdge && size > 0 && size < kLongestEdge;
}

// Rounds towards minus infinity.
int divided(int value, int by) { return value >= 0 ? value / by : -((-value + by - 1) / by); }

// A place that may lie outside of the picture, though not so far that arithmetic ends.
int near(int place) {
  if (std::abs(static_cast<std::int64_t>(place)) > 2 * kLongestEdge) {
    throw DecodeError("a crop reaches too far outside the picture");
  }
  return place;
}

augment::Axis axis_of(const Job& job, int axis, std::uint32_t length, int reduce, augment::Filter filter) {
  augment::Axis out;
  out.filter = filter;
  out.box0 = job.box[axis] / reduce;
  out.box1 = job.box[axis + 2] / reduce;
  out.low = divided(job.bounds[axis], reduce);
  out.high = std::min(divided(job.bounds[axis + 2] + reduce - 1, reduce),
                      static_cast<int>((length + reduce - 1) / reduce));
  out.extent_low = out.low;
  out.extent_high = out.high;
  if (job.extent[axis] < job.extent[axis + 2]) {
    out.extent_low = divided(near(job.extent[axis]), reduce);
    out.extent_high = divided(near(job.extent[axis + 2]) + reduce - 1, reduce);
  }
  out.size = out.end = out.inner_high = filtered_size(job, axis);
  if (job.inner[axis] < job.inner[axis + 2]) {
    out.inner_low = near(job.inner[axis]);
    out.inner_high = near(job.inner[axis + 2]);
  }
  out.border = static_cast<augment::Border>(job.border);
  out.flip = !is_warped(job) && (axis == 0 ? job.flip_x : job.flip_y) != 0;
  return out;
}

augment::Warp warp_of(const Job& job) {
  augment::Warp warp;
  std::copy(std::begin(job.map), std::end(job.map), warp.map.m);
  std::copy(std::begin(job.before), std::end(job.before), warp.before.m);
  warp.elastic.seed = job.elastic_seed;
  for (int axis = 0; axis < 2; ++axis) {
    warp.elastic.spacing[axis] = job.elastic_spacing[axis];
    warp.elastic.amplitude[axis] = job.elastic_amplitude[axis];
  }
  warp.height = job.grid[0];
  warp.width = job.grid[1];
  warp.out_height = job.height;
  warp.out_width = job.width;
  warp.border = static_cast<augment::Border>(job.border);
  return warp;
}

// The wanted cells of a grid that lie on it; one where none does, since a filter makes something.
void want(augment::Axis& axis, int begin, int end) {
  axis.begin = std::clamp(begin, 0, axis.size - 1);
  axis.end = std::clamp(end, axis.begin + 1, axis.size);
}

decode::Region region_of(int x0, int y0, int x1, int y1) {
  return {static_cast<std::uint32_t>(x0), static_cast<std::uint32_t>(y0), static_cast<std::uint32_t>(x1),
          static_cast<std::uint32_t>(y1)};
}

// Stored pixels below cells of a grid, for masks.
decode::Region below(const augment::Axis& across, const augment::Axis& down) {
  int edges[4];
  int place = 0;
  for (const augment::Axis* axis : {&across, &down}) {
    const double step = (axis->box1 - axis->box0) / axis->size;
    const int low = static_cast<int>(std::floor(axis->box0 + step * axis->begin)) - 1;
    const int high = static_cast<int>(std::ceil(axis->box0 + step * axis->end)) + 1;
    // A border that reaches back into the picture may read any of it.
    const bool beyond = axis->border != augment::Border::constant && (low < axis->low || high > axis->high);
    edges[place] = beyond ? axis->low : std::clamp(low, axis->low, axis->high - 1);
    edges[place + 2] = beyond ? axis->high : std::clamp(high, edges[place] + 1, axis->high);
    ++place;
  }
  return region_of(edges[0], edges[1], edges[2], edges[3]);
}

decode::Region below(const augment::Axis& across, const std::vector<int>& columns, const augment::Axis& down,
                     const std::vector<int>& rows) {
  const auto range = [](const augment::Axis& axis, const std::vector<int>& places, int& low, int& high) {
    low = axis.high, high = axis.low;
    for (const int at : places) {
      if (at < axis.low) continue;
      low = std::min(low, at);
      high = std::max(high, at + 1);
    }
    if (low >= high) low = axis.low, high = axis.low + 1;
  };
  int x0, x1, y0, y1;
  range(across, columns, x0, x1);
  range(down, rows, y0, y1);
  return region_of(x0, y0, x1, y1);
}

}  // namespace

int reduction_of(const Job& job, int most) {
  int reduce = 1;
  const double wide = (job.box[2] - job.box[0]) / std::max(filtered_size(job, 0), 1);
  const double high = (job.box[3] - job.box[1]) / std::max(filtered_size(job, 1), 1);
  while (reduce < most && wide >= 2.0 * reduce && high >= 2.0 * reduce) reduce *= 2;
  return reduce;
}

void plan_sampling(const Job& job, const Batch& batch, std::uint32_t height, std::uint32_t width, int reduce,
                   Sampling& out) {
  const bool nearest = batch.nearest;
  if (!fits(job, 0, static_cast<int>(width)) || !fits(job, 1, static_cast<int>(height)) || job.border > 2) {
    throw DecodeError("the crop reaches outside the picture of " + std::to_string(width) + " x " +
                      std::to_string(height) + " pixels: the index and the stored picture disagree");
  }
  out.across = axis_of(job, 0, width, reduce, batch.filter);
  out.down = axis_of(job, 1, height, reduce, batch.filter);
  out.warped = is_warped(job);
  if (out.warped) {
    out.warper.prepare(warp_of(job));
    const augment::Cells& cells = out.warper.cells();
    decode::check_size(cells.width(), cells.height(), batch.max_pixels);
    want(out.across, cells.x0, cells.x1);
    want(out.down, cells.y0, cells.y1);
  }
  if (nearest && out.warped) {
    out.needed = below(out.across, out.down);
  } else if (nearest) {
    augment::make_nearest(out.across, out.nearest_columns);
    augment::make_nearest(out.down, out.nearest_rows);
    out.needed = below(out.across, out.nearest_columns, out.down, out.nearest_rows);
  } else {
    augment::make_weights(out.across, out.columns);
    augment::make_weights(out.down, out.rows);
    out.needed = region_of(out.columns.lowest, out.rows.lowest, out.columns.highest, out.rows.highest);
    for (int& first : out.columns.first) first -= out.columns.lowest;
  }
}

}  // namespace medshard::pipeline
