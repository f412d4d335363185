// SPDX-License-Identifier: MIT
//
// Where the reports of `prewarm bench` go.
#pragma once

#include <functional>
#include <string>

namespace prewarm::cli {

struct ReportFiles {
  std::string json;  // "-": standard output, in the text's place; empty: none
  std::string html;  // empty: none
};

// Whether they can be written: minutes of measuring must not end in a file that can't. They are
// empty afterwards. What is wrong has been said.
bool can_write(const ReportFiles& files);

// Writes the JSON, and the text or the page only where they are wanted. False: not all of it, which
// has been said.
bool write_reports(const ReportFiles& files, const std::string& json,
                   const std::function<std::string()>& text,
                   const std::function<std::string()>& html);

}  // namespace prewarm::cli
