// SPDX-License-Identifier: MIT
#include "measure/page.h"

#include <gtest/gtest.h>

namespace prewarm::measure {
namespace {

Bar bar(const char* label, double us) {
  return {label, time_text(us), summarize(std::vector<double>{us, us, us}), kOurColour};
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(Page, TextCannotBecomeMarkup) {
  EXPECT_EQ(escaped("a<b & \"c\">"), "a&lt;b &amp; &quot;c&quot;&gt;");
  const std::string html = plot_html("<t>", {bar("<x>", 1)}, time_text);
  EXPECT_EQ(html.find("<t>"), std::string::npos);
  EXPECT_EQ(html.find("<x>"), std::string::npos);
  EXPECT_NE(page_head("a&b").find("<title>a&amp;b</title>"), std::string::npos);
}

TEST(Page, TimesHaveTheirUnit) {
  EXPECT_EQ(time_text(12.34), "12.3 µs");
  EXPECT_EQ(time_text(123.4), "123 µs");
  EXPECT_EQ(time_text(1234), "1.23 ms");
  EXPECT_EQ(time_text(12345), "12.3 ms");
}

TEST(Page, EachBarIsARowWithItsFigures) {
  const std::string html = plot_html("times", {bar("a", 10), bar("b", 20)}, time_text);
  EXPECT_EQ(count(html, "<rect "), 2U);
  EXPECT_EQ(count(html, ">10.0 µs</text>"), 2U);  // beside the bar, and at the axis
  EXPECT_EQ(count(html, "logarithmic"), 0U);
}

TEST(Page, LongBarsAreLong) {
  const auto width = [](const std::string& html, std::size_t nth) {
    std::size_t at = 0;
    for (std::size_t i = 0; i <= nth; ++i) at = html.find("<rect ", at + 1);
    at = html.find("width=\"", at);
    return std::stod(html.substr(at + 7));
  };
  const std::string linear = plot_html("t", {bar("a", 10), bar("b", 20)}, time_text);
  EXPECT_NEAR(width(linear, 1) / width(linear, 0), 2, 0.01);
  const std::string logarithmic = plot_html("t", {bar("a", 10), bar("b", 1000)}, time_text);
  EXPECT_EQ(count(logarithmic, "(logarithmic axis)"), 1U);
  EXPECT_GT(width(logarithmic, 1), width(logarithmic, 0));
}

TEST(Page, VerdictSaysWhatWasDemandedAndFound) {
  Measured m;
  m.series = {{"old", {{100}}}, {"new", {{20}}}};
  const auto v = judge(m, {DemandKind::faster_at_least, "new", "old", 4});
  const std::string html = verdict_html("a < b: ", *v);
  EXPECT_NE(html.find("class=\"met\">met<"), std::string::npos);
  EXPECT_NE(html.find("a &lt; b: new at least 4x as fast as old: <b>5.00x</b>"), std::string::npos);
}

}  // namespace
}  // namespace prewarm::measure
