// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/report.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace prewarm::bash {
namespace {

using launch::Reason;

struct Row {
  const CommandTally* command;
  std::uint32_t launches[kRungs];
  std::uint32_t all;
  double saved_ms;
  bool saved_known;
};

double mean_ms(const CommandTally& c, Rung rung) {
  const auto i = static_cast<unsigned>(rung);
  const auto n = c.timed[i].load();
  return n == 0 ? -1 : static_cast<double>(c.elapsed_ns[i].load()) / 1e6 / n;
}

Row row_of(const CommandTally& c) {
  Row row{&c, {}, 0, 0, false};
  for (unsigned i = 0; i < kRungs; ++i) {
    row.launches[i] = c.launches[i].load();
    row.all += row.launches[i];
  }
  const double cold = mean_ms(c, Rung::cold);
  const double warm = mean_ms(c, Rung::direct);
  if (cold >= 0 && warm >= 0) {
    row.saved_ms = (cold - warm) * row.launches[static_cast<unsigned>(Rung::direct)];
    row.saved_known = true;
  }
  return row;
}

std::vector<Row> rows_of(const Tally& tally) {
  std::vector<Row> rows;
  for (unsigned i = 0; i < tally.size(); ++i) {
    if (tally.at(i).state.load() == 2) rows.push_back(row_of(tally.at(i)));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.all > b.all; });
  return rows;
}

template <class... Args>
void print(std::string& out, const char* format, Args... args) {
  char line[1024];
  const int n = std::snprintf(line, sizeof line, format, args...);
  if (n > 0) out.append(line, std::min<std::size_t>(static_cast<std::size_t>(n), sizeof line - 1));
}

template <class F>
void each_reason(const CommandTally& c, F f) {
  for (unsigned r = 1; r < static_cast<unsigned>(Reason::count_); ++r) {
    if (const auto n = c.reasons[r].load(); n != 0) f(static_cast<Reason>(r), n);
  }
}

std::string json_string(const char* s) {
  std::string out = "\"";
  for (; *s != '\0'; ++s) {
    const auto c = static_cast<unsigned char>(*s);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += *s;
    } else if (c < 0x20) {
      print(out, "\\u%04x", c);
    } else {
      out += *s;
    }
  }
  return out + "\"";
}

const char* base_name(const char* path) {
  const std::string_view view = path;
  const auto slash = view.rfind('/');
  return slash == std::string_view::npos || slash + 1 == view.size() ? path : path + slash + 1;
}

}  // namespace

std::string stats_table(const Tally& tally) {
  std::string out;
  print(out, "prewarm: launches by rung (direct, brokered and by a coprocess are warm)\n");
  print(out, "%-28s %8s %8s %9s %8s %12s\n", "command", "direct", "brokered", "coprocess", "cold",
        "saved (est.)");
  double total = 0;
  for (const Row& row : rows_of(tally)) {
    print(out, "%-28s %8u %8u %9u %8u ", base_name(row.command->path), row.launches[0],
          row.launches[1], row.launches[2], row.launches[3]);
    if (row.saved_known) {
      print(out, "%9.1f ms\n", row.saved_ms);
      total += row.saved_ms;
    } else {
      print(out, "%12s\n", "-");
    }
    each_reason(*row.command, [&out](Reason r, std::uint32_t n) {
      print(out, "    %u cold: %s\n", n, launch::reason_text(r));
    });
  }
  print(
      out,
      "saved about %.1f ms (an estimate: warm launches, times how much longer the cold ones of the "
      "same command took in this run)\n",
      total);
  return out;
}

std::string stats_json(const Tally& tally) {
  std::string out = "{\"commands\":[";
  bool first = true;
  for (const Row& row : rows_of(tally)) {
    if (!first) out += ",";
    first = false;
    out += "{\"command\":" + json_string(base_name(row.command->path)) +
           ",\"path\":" + json_string(row.command->path);
    print(out, ",\"direct\":%u,\"brokered\":%u,\"coprocess\":%u,\"cold\":%u", row.launches[0],
          row.launches[1], row.launches[2], row.launches[3]);
    if (row.saved_known) print(out, ",\"saved_ms_estimate\":%.3f", row.saved_ms);
    out += ",\"reasons\":{";
    bool first_reason = true;
    each_reason(*row.command, [&](Reason r, std::uint32_t n) {
      print(out, "%s\"%s\":%u", first_reason ? "" : ",", launch::reason_name(r), n);
      first_reason = false;
    });
    out += "}}";
  }
  return out + "]}\n";
}

}  // namespace prewarm::bash
