// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/output.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>

using namespace coppice::command;

namespace {

struct pipe_pair {
  pipe_pair() { REQUIRE(::pipe(ends) == 0); }
  ~pipe_pair() {
    close_reader();
    ::close(ends[1]);
  }
  void close_reader() {
    if (ends[0] >= 0) ::close(ends[0]);
    ends[0] = -1;
  }
  std::string read_now() {
    std::string all;
    pollfd readable{ends[0], POLLIN, 0};
    char some[65'536];
    while (::poll(&readable, 1, 0) > 0)
      all.append(
          some, static_cast<std::size_t>(std::max<ssize_t>(0, ::read(ends[0], some, sizeof some))));
    return all;
  }
  int ends[2];
};

}  // namespace

TEST_CASE("lines get their node's name in front, however they arrive") {
  output_lines lines{"beta", 6, -1};
  CHECK(lines.feed("one\ntw") == "beta   | one\n");
  CHECK(lines.feed("o").empty());
  CHECK(lines.feed("\r\n\nthree") == "beta   | two\nbeta   | \n");
  CHECK(lines.rest() == "beta   | three\n");
  CHECK(lines.rest().empty());
  CHECK(lines.line("said") == "beta   | said\n");
}

TEST_CASE("a name is coloured, and a line's own colours end with it") {
  output_lines lines{"beta", 4, 0};
  CHECK(lines.feed("one\n\033[31mred\n") ==
        "\033[36mbeta | \033[0mone\n\033[36mbeta | \033[0m\033[31mred\033[0m\n");
  CHECK(output_lines{"a", 1, 10}.line("") == output_lines{"a", 1, 0}.line(""));
  CHECK(output_lines{"a", 1, 1}.line("") != output_lines{"a", 1, 0}.line(""));
}

TEST_CASE("a line without an end is cut where it is too long") {
  output_lines lines{"a", 1, -1};
  const std::string most(output_lines::longest, 'x');
  CHECK(lines.feed(most + '\n') == "a | " + most + '\n');
  CHECK(lines.feed(most + "yz\n") == "a | " + most + "\na | yz\n");
  std::string out;
  for (int i = 0; i < 100; ++i) out += lines.feed(most);
  CHECK(out.size() == 100 * (most.size() + 5));
}

TEST_CASE(
    "a console that nobody reads keeps a bounded part, and tells how many lines it left out") {
  pipe_pair p;
  console out{p.ends[1]};
  const std::string line = std::string(999, 'x') + '\n';
  for (int i = 0; i < 2'000; ++i) {
    out.put(line);
    out.flush();
  }
  CHECK(out.waiting());
  std::string all;
  for (int i = 0; i < 1'000 && out.waiting(); ++i) {
    all += p.read_now();
    out.flush();
  }
  all += p.read_now();
  CHECK(all.find("left out") == std::string::npos);
  const auto lines = all.size() / 1'000;
  CHECK(lines > 1'000);
  CHECK(lines < 1'200);
  out.put("next\n");
  out.flush();
  CHECK(p.read_now() == "(" + std::to_string(2'000 - lines) +
                            " lines were left out here: they came faster than they were read)\n"
                            "next\n");
}

TEST_CASE("a console leaves the flags of what it was given alone") {
  pipe_pair p;
  const int before = ::fcntl(p.ends[1], F_GETFL);
  {
    console out{p.ends[1]};
    out.put("x\n");
    out.flush();
    CHECK(::fcntl(p.ends[1], F_GETFL) == before);
  }
  CHECK(p.read_now() == "x\n");
  CHECK(::write(p.ends[1], "y", 1) == 1);
}

TEST_CASE("a console whose reader is gone forgets what it is given") {
  const auto old = ::signal(SIGPIPE, SIG_IGN);
  pipe_pair p;
  console out{p.ends[1]};
  p.close_reader();
  out.put("x\n");
  out.flush();
  CHECK(!out.waiting());
  out.put("y\n");
  CHECK(!out.waiting());
  ::signal(SIGPIPE, old);
}

TEST_CASE("a console writes to a file behind what is there") {
  char name[] = "/tmp/coppice-console-XXXXXX";
  const int file = ::mkstemp(name);
  REQUIRE(::write(file, "a\n", 2) == 2);
  {
    console out{file};
    out.put("b\n");
    out.flush();
  }
  char text[8] = "";
  CHECK(::pread(file, text, sizeof text, 0) == 4);
  CHECK(std::string{text} == "a\nb\n");
  ::close(file);
  ::unlink(name);
}
