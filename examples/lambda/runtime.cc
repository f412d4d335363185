// SPDX-License-Identifier: MIT
//
// The runtime of runtime.sh as one C++ program: what the demo's bash runtimes
// are measured against. It takes the same steps in the same order, the way one
// would write them with libcurl: a single easy handle, so that one connection
// serves all requests, and a header callback instead of a file of headers.
//
// Same environment variables as runtime.sh.

#include <curl/curl.h>
#include <strings.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using Handler = std::string (*)(const std::string& event);

std::string handler(const std::string& event) {
  std::fprintf(stderr, "%s\n", event.c_str());
  return "{\"echo\":" + event + "}";
}

struct NamedHandler {
  std::string_view name;
  Handler function;
};
constexpr std::array kHandlers = {NamedHandler{"handler", handler}};

// "file.function" -> the function of that name.
Handler find_handler(std::string_view handler_setting) {
  std::string_view name = handler_setting.substr(handler_setting.find('.') + 1);
  for (const NamedHandler& candidate : kHandlers) {
    if (candidate.name == name) return candidate.function;
  }
  throw std::runtime_error("no handler function named '" + std::string(name) + "'");
}

std::string environment(const char* name, const char* fallback = nullptr) {
  const char* value = std::getenv(name);
  if (value == nullptr) value = fallback;
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
  return value;
}

struct Invocation {
  std::string request_id;
  std::string event;
};

// A client of the Runtime API. Not thread-safe: one connection, one request at
// a time, as the API wants it.
class RuntimeApi {
 public:
  explicit RuntimeApi(std::string base_url)
      : base_url_(std::move(base_url)), curl_(curl_easy_init(), curl_easy_cleanup) {
    if (!curl_) throw std::runtime_error("curl_easy_init failed");
    set(CURLOPT_ERRORBUFFER, error_.data());
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_WRITEFUNCTION, &RuntimeApi::on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &RuntimeApi::on_header);
    set(CURLOPT_HEADERDATA, this);
  }

  // Waits, without limit, for an event; nothing when the server has no more.
  std::optional<Invocation> next() {
    set(CURLOPT_HTTPGET, 1L);
    const long status = perform(base_url_ + "/invocation/next");
    if (status == kGone) return std::nullopt;
    if (request_id_.empty()) {
      throw std::runtime_error("no request id in the answer to 'next' (status " +
                               std::to_string(status) + "): " + body_);
    }
    return Invocation{request_id_, body_};
  }

  void respond(const std::string& request_id, const std::string& response) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(response.size()));
    set(CURLOPT_POSTFIELDS, response.c_str());  // not copied: must outlive perform()
    perform(base_url_ + "/invocation/" + request_id + "/response");
  }

 private:
  static constexpr long kGone = 410;

  template <class Value>
  void set(CURLoption option, Value value) {
    if (CURLcode code = curl_easy_setopt(curl_.get(), option, value); code != CURLE_OK) {
      throw std::runtime_error(std::string("curl_easy_setopt: ") + curl_easy_strerror(code));
    }
  }

  long perform(const std::string& url) {
    body_.clear();
    request_id_.clear();
    error_[0] = '\0';
    set(CURLOPT_URL, url.c_str());
    if (CURLcode code = curl_easy_perform(curl_.get()); code != CURLE_OK) {
      throw std::runtime_error(url + ": " + (error_[0] ? error_.data() : curl_easy_strerror(code)));
    }
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status;
  }

  static size_t on_body(char* data, size_t, size_t size, void* self) {
    static_cast<RuntimeApi*>(self)->body_.append(data, size);
    return size;
  }

  static size_t on_header(char* data, size_t, size_t size, void* self) {
    constexpr std::string_view kName = "Lambda-Runtime-Aws-Request-Id:";
    std::string_view line(data, size);
    if (line.size() > kName.size() && strncasecmp(data, kName.data(), kName.size()) == 0) {
      line.remove_prefix(std::min(line.find_first_not_of(" \t", kName.size()), line.size()));
      line = line.substr(0, line.find_first_of(" \t\r\n"));
      static_cast<RuntimeApi*>(self)->request_id_ = line;
    }
    return size;
  }

  std::string base_url_;
  std::unique_ptr<CURL, void (*)(CURL*)> curl_;
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::string body_;
  std::string request_id_;
};

void serve() {
  const std::string handler_setting = environment("_HANDLER");
  const long max_invocations = std::stol(environment("LAMBDA_MAX_INVOCATIONS", "0"));
  RuntimeApi api("http://" + environment("AWS_LAMBDA_RUNTIME_API") + "/" +
                 environment("LAMBDA_RUNTIME_API_VERSION", "2018-06-01") + "/runtime");

  for (long done = 0; max_invocations == 0 || done < max_invocations; ++done) {
    std::optional<Invocation> invocation = api.next();
    if (!invocation) return;
    const std::string response = find_handler(handler_setting)(invocation->event);
    api.respond(invocation->request_id, response);
  }
}

}  // namespace

int main() {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  int status = EXIT_SUCCESS;
  try {
    serve();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lambda-runtime: %s\n", error.what());
    status = EXIT_FAILURE;
  }
  curl_global_cleanup();
  return status;
}
