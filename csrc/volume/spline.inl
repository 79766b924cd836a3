// The cubic B-spline about a place: its four nodes and their weights. Included inside a namespace.

struct Spline {
  std::int64_t node;  // the first of four
  double weights[4];
};

inline Spline spline_at(double at) {
  std::int64_t whole = static_cast<std::int64_t>(at);
  if (static_cast<double>(whole) > at) --whole;
  const double t = at - static_cast<double>(whole), u = 1.0 - t;
  const double t2 = t * t, t3 = t2 * t;
  constexpr double kSixth = 1.0 / 6.0;
  return {whole - 1,
          {u * u * u * kSixth, (3.0 * t3 - 6.0 * t2 + 4.0) * kSixth,
           (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) * kSixth, t3 * kSixth}};
}
