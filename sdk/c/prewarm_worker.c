// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "prewarm_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char** environ;

enum {
  max_message = 8388608, /* docs/protocol/messages.md, Form */
  max_fields = 131072,
  max_descriptors = 253, /* the kernel's SCM_MAX_FD: all that can come, so that we can close them */
  max_sets = 8
};

/* Descriptors that came by one recvmsg(2). They belong to the packet that the last byte is of which
 * came with them: the kernel may put bytes before those that carry descriptors, never any after. */
struct set {
  uint64_t at; /* offset of that byte in the stream */
  int descriptors[3];
  unsigned count; /* as many as came; those beyond three are closed already */
};

struct field {
  char* name;
  char* value;
};

/* One message; its strings are in `text`, which it owns. */
struct request {
  char* text;
  char* type;
  unsigned long id;
  unsigned count;
  struct field* fields;
  int descriptors[3];
  unsigned descriptor_count; /* as in struct set */
};

struct worker {
  int socket;
  int null;
  prewarm_main* tool;
  char* buffer; /* what was received and not yet used: from `start`, `used` bytes */
  size_t start, used, room;
  uint64_t received; /* bytes of the stream until now */
  struct set sets[max_sets];
  unsigned set_count;
  int base_directory;
  mode_t base_umask;
  char** base_environment; /* each string, and the array, from malloc */
};

/* What isn't a message, or no memory: where the next request would begin can't be known. */
static void give_up(const char* why) {
  fprintf(stderr, "prewarm worker: %s\n", why);
  exit(1);
}

static void* get_memory(void* old, size_t size) {
  void* p = realloc(old, size == 0 ? 1 : size);
  if (p == NULL) give_up("no memory for a request");
  return p;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static void send_all(int socket, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t n = send(socket, bytes, size, MSG_NOSIGNAL);
    if (n > 0) {
      bytes += n;
      size -= (size_t)n;
    } else if (errno != EINTR) {
      exit(1); /* nobody is there to be told */
    }
  }
}

static void send_packet(int socket, const char* payload, size_t size) {
  char small[512];
  const int head = snprintf(small, sizeof small, "%zu:", size);
  if ((size_t)head + size + 1 <= sizeof small) { /* nearly always: one system call */
    memcpy(small + head, payload, size);
    small[(size_t)head + size] = ',';
    send_all(socket, small, (size_t)head + size + 1);
    return;
  }
  send_all(socket, small, (size_t)head);
  send_all(socket, payload, size);
  send_all(socket, ",", 1);
}

static void answer_exit(const struct worker* w, const struct request* r, int status) {
  char text[96];
  const int n = snprintf(text, sizeof text, "status %lu 1\nexit %d\n", r->id, status & 0xff);
  send_packet(w->socket, text, (size_t)n);
}

static void answer_error(const struct worker* w, const struct request* r, const char* reason,
                         const char* message) {
  char text[256];
  const int n =
      snprintf(text, sizeof text, "error %lu 2\nreason %s\nmessage %s\n", r->id, reason, message);
  send_packet(w->socket, text, (size_t)n);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static void add_descriptor(int* descriptors, unsigned* count, int fd) {
  if (*count < 3) {
    descriptors[*count] = fd;
  } else {
    close(fd);
  }
  ++*count;
}

static void keep_descriptors(struct worker* w, struct msghdr* header) {
  struct cmsghdr* c;
  struct set* set = &w->sets[w->set_count];
  if (w->set_count == max_sets) give_up("a packet brings descriptors too often");
  set->at = w->received - 1;
  set->descriptors[0] = set->descriptors[1] = set->descriptors[2] = -1;
  set->count = header->msg_flags & MSG_CTRUNC ? 4 : 0; /* some are lost: not three */
  for (c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      add_descriptor(set->descriptors, &set->count, fd);
    }
  }
  if (set->count > 0) ++w->set_count;
}

/* The descriptors of a packet that ends before `end` in the stream. */
static void take_descriptors(struct worker* w, struct request* r, uint64_t end) {
  unsigned taken = 0;
  for (; taken < w->set_count && w->sets[taken].at < end; ++taken) {
    const struct set* set = &w->sets[taken];
    for (unsigned i = 0; i < set->count; ++i) {
      if (i < 3) {
        add_descriptor(r->descriptors, &r->descriptor_count, set->descriptors[i]);
      } else {
        ++r->descriptor_count;
      }
    }
  }
  w->set_count -= taken;
  memmove(w->sets, w->sets + taken, w->set_count * sizeof *w->sets);
}

/* False at the end of the conversation. */
static int receive_more(struct worker* w) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(max_descriptors * sizeof(int))];
  } control;
  struct iovec part;
  struct msghdr header;
  ssize_t n;
  if (w->start > 0) {
    memmove(w->buffer, w->buffer + w->start, w->used);
    w->start = 0;
  }
  if (w->room - w->used < 16384) {
    w->room += w->room + 65536;
    w->buffer = get_memory(w->buffer, w->room);
  }
  part.iov_base = w->buffer + w->used;
  part.iov_len = w->room - w->used;
  memset(&header, 0, sizeof header);
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  do {
    n = recvmsg(w->socket, &header, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) exit(1);
  if (n == 0) return 0;
  w->used += (size_t)n;
  w->received += (uint64_t)n;
  keep_descriptors(w, &header);
  return 1;
}

/* A decimal number of the protocol that ends at `end`; UINT32_MAX + 1 if it is none. */
static uint64_t parse_number(const char* text, const char* end) {
  const uint64_t none = (uint64_t)UINT32_MAX + 1;
  uint64_t value = 0;
  if (text == end || end - text > 10 || (*text == '0' && end - text > 1)) return none;
  for (; text < end; ++text) {
    if (*text < '0' || *text > '9') return none;
    value = value * 10 + (uint64_t)(*text - '0');
  }
  return value > UINT32_MAX ? none : value;
}

/* The length of a packet's payload, and where that begins; -1: the length isn't there yet. */
static long packet_length(const struct worker* w, size_t* payload) {
  const char* at = w->buffer + w->start;
  const char* colon = memchr(at, ':', w->used < 10 ? w->used : 10);
  uint64_t length;
  if (colon == NULL) {
    for (size_t i = 0; i < w->used; ++i) {
      if (i >= 9 || at[i] < '0' || at[i] > '9') give_up("a packet has no length");
    }
    return -1;
  }
  length = parse_number(at, colon);
  if (length > max_message) give_up("a packet's length is none, or too large");
  *payload = (size_t)(colon + 1 - at);
  return (long)length;
}

static int is_name(const char* text, const char* end) {
  if (text == end || end - text > 31 || *text < 'a' || *text > 'z') return 0;
  for (; text < end; ++text) {
    if (!((*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9') || *text == '-')) {
      return 0;
    }
  }
  return 1;
}

/* Resolves the escapes of a value in its place, and ends it with NUL. */
static void unescape(char* value, char* end) {
  char* to = value;
  for (char* from = value; from < end; ++from) {
    if (*from == '\0') give_up("a value has a NUL in it");
    if (*from == '\\') {
      if (++from == end || (*from != '\\' && *from != 'n')) give_up("a value has a bad escape");
      *to++ = *from == 'n' ? '\n' : '\\';
    } else {
      *to++ = *from;
    }
  }
  *to = '\0';
}

static void parse_header(struct request* r, char* line, char* end) {
  char* first = memchr(line, ' ', (size_t)(end - line));
  char* second = first == NULL ? NULL : memchr(first + 1, ' ', (size_t)(end - first - 1));
  uint64_t id, count;
  if (second == NULL || !is_name(line, first)) give_up("a message has no header");
  id = parse_number(first + 1, second);
  count = parse_number(second + 1, end);
  if (id > UINT32_MAX || count > max_fields) give_up("a message has no header");
  *first = '\0';
  r->type = line;
  r->id = (unsigned long)id;
  r->count = (unsigned)count;
}

static void parse_message(struct request* r, size_t size) {
  char* at = r->text;
  char* const end = r->text + size;
  char* line_end = memchr(at, '\n', size);
  if (line_end == NULL) give_up("a message has no header");
  parse_header(r, at, line_end);
  r->fields = get_memory(NULL, r->count * sizeof *r->fields);
  for (unsigned i = 0; i < r->count; ++i) {
    char* blank;
    at = line_end + 1;
    line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    if (line_end == NULL) give_up("a message has fewer fields than it says");
    blank = memchr(at, ' ', (size_t)(line_end - at));
    if (blank == NULL || !is_name(at, blank)) give_up("a field has no name");
    *blank = '\0';
    r->fields[i].name = at;
    r->fields[i].value = blank + 1;
    unescape(blank + 1, line_end);
  }
  if (line_end + 1 != end) give_up("a message has more than its fields");
}

/* False: the end. */
static int next_request(struct worker* w, struct request* r) {
  size_t payload = 0;
  long length;
  while ((length = packet_length(w, &payload)) < 0 || w->used < payload + (size_t)length + 1) {
    if (receive_more(w)) continue;
    if (w->used > 0) give_up("a packet ends too early");
    return 0;
  }
  const char* at = w->buffer + w->start;
  const size_t size = (size_t)length;
  if (at[payload + size] != ',') give_up("no comma follows a packet");
  r->text = get_memory(NULL, size + 1);
  memcpy(r->text, at + payload, size);
  w->start += payload + size + 1;
  w->used -= payload + size + 1;
  take_descriptors(w, r, w->received - w->used);
  parse_message(r, size);
  return 1;
}

static void close_descriptors(struct request* r) {
  const unsigned count = r->descriptor_count < 3 ? r->descriptor_count : 3;
  for (unsigned i = 0; i < count; ++i) close(r->descriptors[i]);
}

static const char* find_field(const struct request* r, const char* name) {
  const char* value = NULL;
  for (unsigned i = 0; i < r->count; ++i) {
    if (strcmp(r->fields[i].name, name) == 0) value = r->fields[i].value;
  }
  return value;
}

/* ---- Environment ----------------------------------------------------------------------------- */

static size_t count_strings(char** strings) {
  size_t n = 0;
  while (strings[n] != NULL) ++n;
  return n;
}

/* The base environment, or nothing, with what the request's fields set. The array is from malloc,
 * its strings are the base's or the request's. */
static char** make_environment(const struct worker* w, const struct request* r) {
  const int clear = find_field(r, "clear-env") != NULL;
  size_t n = clear ? 0 : count_strings(w->base_environment);
  char** env = get_memory(NULL, (n + r->count + 1) * sizeof *env);
  if (!clear) memcpy(env, w->base_environment, n * sizeof *env);
  for (unsigned i = 0; i < r->count; ++i) {
    char* variable = r->fields[i].value;
    const char* equals = strchr(variable, '=');
    size_t at = 0;
    if (strcmp(r->fields[i].name, "env") != 0 || equals == NULL || equals == variable) continue;
    /* Into the place of its name, which nothing that was only appended can have. */
    const size_t length = (size_t)(equals + 1 - variable);
    while (at < n && strncmp(env[at], variable, length) != 0) ++at;
    env[at] = variable;
    if (at == n) ++n;
  }
  env[n] = NULL;
  return env;
}

static void replace_base_environment(struct worker* w, char** strings) {
  const size_t n = count_strings(strings);
  char** copy = get_memory(NULL, (n + 1) * sizeof *copy);
  for (size_t i = 0; i < n; ++i) {
    copy[i] = strdup(strings[i]);
    if (copy[i] == NULL) give_up("no memory for the environment");
  }
  copy[n] = NULL;
  if (w->base_environment != NULL) {
    for (char** s = w->base_environment; *s != NULL; ++s) free(*s);
    free(w->base_environment);
  }
  w->base_environment = copy;
}

/* ---- An invocation --------------------------------------------------------------------------- */

static void put_in_place(const int* descriptors) {
  for (int i = 0; i < 3; ++i) {
    if (dup2(descriptors[i], i) < 0) give_up("a descriptor can't be put in its place");
    close(descriptors[i]);
  }
}

static void begin_streams(void) {
  clearerr(stdin);
  clearerr(stdout);
  clearerr(stderr);
  /* What a process does at its first output. */
  setvbuf(stdout, NULL, isatty(1) ? _IOLBF : _IOFBF, BUFSIZ);
}

/* As exit(3) does: all is written, and what was read ahead of a file is put back. */
static void end_streams(const struct worker* w) {
  fflush(NULL);
  fflush(stdin);
  __fpurge(stdin);
  __fpurge(stdout); /* what could not be written */
  for (int i = 0; i < 3; ++i) dup2(w->null, i);
}

static int enter_directory(const struct worker* w, const struct request* r) {
  const char* path = find_field(r, "cwd");
  return path == NULL ? fchdir(w->base_directory) == 0 : chdir(path) == 0;
}

/* The mask that the request says; -1: it says something that is none. */
static long wanted_umask(const struct worker* w, const struct request* r) {
  const char* text = find_field(r, "umask");
  long mask = 0;
  if (text == NULL) return (long)w->base_umask;
  if (*text == '\0' || strlen(text) > 8) return -1;
  for (; *text != '\0'; ++text) {
    if (*text < '0' || *text > '7') return -1;
    mask = mask * 8 + (*text - '0');
  }
  return mask > 0777 ? -1 : mask;
}

static void set_process_state(char** argv) {
#ifdef __GLIBC__
  const char* slash = strrchr(argv[0], '/');
  program_invocation_name = argv[0];
  program_invocation_short_name = slash == NULL ? argv[0] : (char*)slash + 1;
  optind = 0; /* getopt begins anew, whatever it had in mind (getopt(3)) */
#else
  optind = 1;
#endif
  opterr = 1;
  errno = 0;
}

static void run_tool(struct worker* w, struct request* r) {
  char** argv = get_memory(NULL, (r->count + 1) * sizeof *argv);
  int argc = 0;
  for (unsigned i = 0; i < r->count; ++i) {
    if (strcmp(r->fields[i].name, "arg") == 0) argv[argc++] = r->fields[i].value;
  }
  argv[argc] = NULL;
  if (r->descriptor_count != 3) {
    close_descriptors(r);
    answer_error(w, r, "descriptors", "three descriptors are needed");
  } else if (argc == 0) {
    close_descriptors(r);
    answer_error(w, r, "message", "an invocation has no field arg");
  } else if (wanted_umask(w, r) < 0) {
    close_descriptors(r);
    answer_error(w, r, "message", "the field umask is no file mode mask");
  } else if (!enter_directory(w, r)) {
    close_descriptors(r);
    answer_error(w, r, "cwd", "the working directory can't be entered");
  } else {
    char** env = make_environment(w, r);
    environ = env;
    umask((mode_t)wanted_umask(w, r));
    put_in_place(r->descriptors);
    begin_streams();
    set_process_state(argv);
    const int status = w->tool(argc, argv);
    end_streams(w);
    environ = w->base_environment;
    free(env);
    answer_exit(w, r, status);
  }
  free(argv);
}

/* ---- Other requests -------------------------------------------------------------------------- */

static void answer_version(const struct worker* w, const struct request* r) {
  char text[128];
  for (unsigned i = 0; i < r->count; ++i) {
    if (strcmp(r->fields[i].name, "version") != 0 || strcmp(r->fields[i].value, "1") != 0) continue;
    const int n = snprintf(text, sizeof text,
                           "version %lu 2\nversion 1\nimplementation prewarm-c/1\n", r->id);
    send_packet(w->socket, text, (size_t)n);
    return;
  }
  answer_error(w, r, "version", "version 1 is spoken here");
}

static void answer_echo(const struct worker* w, const struct request* r) {
  size_t size = 64, n;
  char* text;
  for (unsigned i = 0; i < r->count; ++i) {
    size += strlen(r->fields[i].name) + 2 * strlen(r->fields[i].value) + 2;
  }
  text = get_memory(NULL, size);
  n = (size_t)sprintf(text, "echo %lu %u\n", r->id, r->count);
  for (unsigned i = 0; i < r->count; ++i) {
    n += (size_t)sprintf(text + n, "%s ", r->fields[i].name);
    for (const char* c = r->fields[i].value; *c != '\0'; ++c) {
      if (*c == '\n' || *c == '\\') text[n++] = '\\';
      text[n++] = *c == '\n' ? 'n' : *c;
    }
    text[n++] = '\n';
  }
  send_packet(w->socket, text, n);
  free(text);
}

static void change_directory(struct worker* w, const struct request* r) {
  const char* path = find_field(r, "cwd");
  char text[96];
  int fd;
  if (path == NULL || *path != '/') {
    answer_error(w, r, "message", "the field cwd must be an absolute path");
    return;
  }
  fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0 && fchdir(fd) == 0) {
    close(w->base_directory);
    w->base_directory = fd;
    answer_exit(w, r, 0);
    return;
  }
  if (fd >= 0) close(fd);
  const int n = snprintf(text, sizeof text,
                         "status %lu 2\nexit 1\nmessage the directory can't be entered\n", r->id);
  send_packet(w->socket, text, (size_t)n);
}

static void change_environment(struct worker* w, const struct request* r) {
  char** env = make_environment(w, r);
  replace_base_environment(w, env);
  environ = w->base_environment;
  free(env);
  answer_exit(w, r, 0);
}

static void serve_request(struct worker* w, struct request* r) {
  if (strcmp(r->type, "argv") == 0) {
    run_tool(w, r);
    return;
  }
  close_descriptors(r);
  if (strcmp(r->type, "version") == 0) {
    answer_version(w, r);
  } else if (strcmp(r->type, "echo") == 0) {
    answer_echo(w, r);
  } else if (strcmp(r->type, "flush") == 0) {
    fflush(NULL);
    answer_exit(w, r, 0);
  } else if (strcmp(r->type, "cd") == 0) {
    change_directory(w, r);
  } else if (strcmp(r->type, "env") == 0) {
    change_environment(w, r);
  } else if (strcmp(r->type, "signal") != 0) {
    answer_error(w, r, "unknown-request", "there are no requests of that type");
  }
}

/* A descriptor above the standard ones, whatever the tool was started with. */
static int move_up(int fd) {
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (moved < 0) give_up("a descriptor can't be moved");
  close(fd);
  return moved;
}

static void begin(struct worker* w, const char* number, prewarm_main* tool) {
  memset(w, 0, sizeof *w);
  w->tool = tool;
  w->socket = atoi(number);
  if (fcntl(w->socket, F_SETFD, FD_CLOEXEC) != 0) give_up("CAPERS_FD names no descriptor");
  if (w->socket < 3) w->socket = move_up(w->socket);
  unsetenv("CAPERS_FD");
  unsetenv("CAPERS_VERSION");
  w->null = move_up(open("/dev/null", O_RDWR | O_CLOEXEC));
  w->base_directory = move_up(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  w->base_umask = umask(0);
  umask(w->base_umask);
  replace_base_environment(w, environ);
  environ = w->base_environment;
}

int prewarm_serve(int argc, char** argv, prewarm_main* tool) {
  const char* number = getenv("CAPERS_FD");
  struct worker w;
  struct request r;
  if (number == NULL) return tool(argc, argv);
  begin(&w, number, tool);
  memset(&r, 0, sizeof r);
  while (next_request(&w, &r)) {
    serve_request(&w, &r);
    free(r.fields);
    free(r.text);
    memset(&r, 0, sizeof r);
  }
  exit(0);
}
