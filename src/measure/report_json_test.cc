// SPDX-License-Identifier: MIT
#include "measure/report_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace prewarm::measure {
namespace {

const Verdict kVerdict{
    .demand = {DemandKind::faster_at_least, "prewarm", "bash", 5},
    .measured = 5.5,
    .rounds = {.first_quartile = 4.5, .median = 5.25, .third_quartile = 6},
    .met = true,
    .clear = false,
};

TEST(ReportJson, BeginsWithWhatWasRunWhereAndWhen) {
  const Machine machine{"x86", 2, "6.1", "2025-01-01T00:00:00Z"};
  EXPECT_EQ(report_head("prewarm-bench", 1, machine, 0.5, 1.5).dump(),
            R"({"benchmark":"prewarm-bench","format":1,"time":"2025-01-01T00:00:00Z",)"
            R"("machine":{"processor":"x86","processors":2,"kernel":"6.1",)"
            R"("load_before":0.5,"load_after":1.5}})");
}

TEST(ReportJson, FiguresFollowWhatIsThere) {
  Json json = {{"text", "t"}};
  add_figures(json, kVerdict);
  EXPECT_EQ(json.dump(),
            R"({"text":"t","of_medians":5.5,"rounds_first_quartile":4.5,"rounds_median":5.25,)"
            R"("rounds_third_quartile":6.0,"met":true,"rounds_agree":false})");
}

TEST(ReportJson, OfMinimaStandsBesideOfMedians) {
  Json json;
  add_figures(json, kVerdict, 7);
  EXPECT_TRUE(json.dump().starts_with(R"({"of_medians":5.5,"of_minima":7.0,"rounds_first)"));
}

TEST(ReportJson, TakesTextInAnyEncoding) {
  EXPECT_EQ(report_text({{"error", "a\xff"}}), "{\n  \"error\": \"a\xEF\xBF\xBD\"\n}\n");
}

}  // namespace
}  // namespace prewarm::measure
