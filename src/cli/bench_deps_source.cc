// SPDX-License-Identifier: MIT
#include "cli/bench_deps_source.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <string_view>

namespace prewarm::cli {
namespace {

// Each as long as the prefix of a library's names, "p00042".
constexpr std::string_view kSelf = "pSELF0";
constexpr std::string_view kNeeded = "pDEP";  // and two digits
constexpr std::string_view kValue = "VaLu";   // the bytes of an int
constexpr std::string_view kTlsValue = "TlSv";

std::string prefix_of(unsigned index) { return fmt::format("p{:05}", index); }
std::string needed_prefix(unsigned which) { return fmt::format("{}{:02}", kNeeded, which); }

std::uint32_t as_number(std::string_view bytes) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

std::array<char, sizeof(std::uint32_t)> as_bytes(std::uint32_t number) {
  std::array<char, sizeof number> bytes{};
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// What all files of a C++ program have in common: each of them has all of this, and all must use
// the same.
constexpr const char* kShared = R"(
struct PrewarmBase {
  PrewarmBase() { ++made; }
  virtual ~PrewarmBase() {}
  virtual unsigned get() const { return 1; }
  static inline unsigned made = 0;
};
struct PrewarmThrown { unsigned value; };
)";

constexpr const char* kDefinitions = R"(
extern unsigned pSELF0_v;
unsigned pSELF0_v = {value}U;
static const char *const pSELF0_names[] = {{"even", "odd"}};
)";

constexpr const char* kClass = R"(
class pSELF0_C : public PrewarmBase { unsigned get() const override; };
unsigned pSELF0_C::get() const { return pSELF0_v; }
static pSELF0_C pSELF0_object;
extern "C" PrewarmBase* pSELF0_get() { return &pSELF0_object; }
extern "C" unsigned pSELF0_throw(unsigned x) { throw PrewarmThrown{x + pSELF0_v}; }
)";

// Who calls the older one gets a wrong result.
constexpr const char* kVersioned = R"(
LINKAGE __attribute__((symver("pSELF0_f0@PREWARM_1"))) unsigned pSELF0_f0_old(unsigned x) {
  return ~x;
}
LINKAGE __attribute__((symver("pSELF0_f0@@PREWARM_2"))) unsigned pSELF0_f0_new(unsigned x) {
)";

constexpr const char* kUnversioned = "LINKAGE unsigned pSELF0_f0(unsigned x) {\n";

std::string declarations(const DepsShape& shape, const std::string& prefix) {
  std::string text;
  for (unsigned k = 0; k < shape.functions; ++k) {
    text += fmt::format("LINKAGE unsigned {}_f{}(unsigned);\n", prefix, k);
  }
  if (!shape.cxx) return text;
  return text +
         fmt::format("LINKAGE unsigned {0}_throw(unsigned);\nLINKAGE PrewarmBase* {0}_get();\n",
                     prefix);
}

std::string beginning(const DepsShape& shape) {
  return shape.cxx ? std::string("#define LINKAGE extern \"C\"\n") + kShared
                   : std::string("#define LINKAGE extern\n");
}

std::string function_text(const DepsShape& shape, unsigned needs, unsigned number) {
  std::string text = fmt::format(
      "LINKAGE unsigned pSELF0_f{0}(unsigned x) {{\n  unsigned r = (x + {0}U) ^ pSELF0_v;\n",
      number);
  for (unsigned i = 0; i < needs; ++i) {
    if (deps_caller_of(shape, i) != number) continue;
    text += fmt::format("  r = r * 31 + {}_f0(x + {});\n", needed_prefix(i), i);
  }
  if (needs > 0 && shape.cxx && number == 1) {
    text += fmt::format(
        "  try {{ {0}_throw(x); }} catch (const PrewarmThrown& t) {{ r = r * 31 + t.value; }}\n"
        "  r = r * 31 + {0}_get()->get();\n",
        needed_prefix(0));
  }
  if (needs > 0 && number == shape.functions - 1) {
    text += fmt::format("  r = r * 31 + {}_f{}(x + 1);\n", needed_prefix(0), number);
  }
  return text + "  return r;\n}\n";
}

constexpr const char* kMain = R"(
int main(int argc, char **argv) {
  struct timespec now;
  long done;
  /* Not by a function of the C library, which may have to be linked first. */
  __asm__ volatile("syscall" : "=a"(done) : "a"(228L), "D"(1L), "S"(&now) : "rcx", "r11", "memory");
  done = write(3, &now, sizeof now);
  while (read(4, &now, sizeof now) > 0) continue;
  (void)argv;
  (void)done;
  if (argc < 2) printf("%u\n", checksum());
  return 0;
}
)";

}  // namespace

std::string deps_template(const DepsShape& shape, unsigned needs) {
  std::string text = "#include <string.h>\n" + beginning(shape);
  for (unsigned i = 0; i < needs; ++i) text += declarations(shape, needed_prefix(i));
  text += fmt::format(fmt::runtime(kDefinitions), fmt::arg("value", as_number(kValue)));
  if (shape.tls) {
    const char* keyword = shape.cxx ? "thread_local" : "_Thread_local";
    text += fmt::format("extern {0} unsigned pSELF0_t;\n{0} unsigned pSELF0_t = {1}U;\n", keyword,
                        as_number(kTlsValue));
  }
  if (shape.cxx) text += kClass;
  text += shape.versions ? kVersioned : kUnversioned;
  text += fmt::format("  return x * 3 + pSELF0_v + (unsigned)strlen(pSELF0_names[x & 1]){};\n}}\n",
                      shape.tls ? " + pSELF0_t" : "");
  for (unsigned k = 1; k < shape.functions; ++k) text += function_text(shape, needs, k);
  return text;
}

std::string deps_object(const std::string& template_object, const DepsClosure& closure,
                        unsigned index) {
  std::string object = template_object;
  replace_all(object, kSelf, prefix_of(index));
  const auto& needs = closure.needs(index);
  for (unsigned i = 0; i < needs.size(); ++i) {
    replace_all(object, needed_prefix(i), prefix_of(needs[i]));
  }
  const auto value = as_bytes(deps_value(index));
  replace_all(object, kValue, {value.data(), value.size()});
  const auto tls_value = as_bytes(deps_tls_value(index));
  replace_all(object, kTlsValue, {tls_value.data(), tls_value.size()});
  return object;
}

std::string deps_program(const DepsClosure& closure) {
  const DepsShape& shape = closure.shape();
  std::string text =
      "#include <stdio.h>\n#include <time.h>\n#include <unistd.h>\n" + beginning(shape);
  std::string calls;
  for (const unsigned index : closure.called()) {
    const std::string prefix = prefix_of(index);
    text += declarations(shape, prefix);
    for (unsigned k = 0; k < shape.functions; ++k) {
      calls += fmt::format("  sum = sum * 31 + {}_f{}(x++);\n", prefix, k);
    }
    if (shape.cxx) {
      calls += fmt::format(
          "  try {{ {}_throw(x++); }} catch (const PrewarmThrown& t) {{ sum = sum * 31 + t.value; "
          "}}\n",
          prefix);
    }
  }
  if (shape.cxx) calls += "  sum = sum * 31 + PrewarmBase::made;\n";
  text += "static unsigned checksum(void) {\n  unsigned sum = 0, x = 0;\n" + calls +
          "  return sum;\n}\n";
  return text + kMain;
}

std::string deps_version_script() {
  return "PREWARM_1 { global: *; };\nPREWARM_2 { } PREWARM_1;\n";
}

}  // namespace prewarm::cli
