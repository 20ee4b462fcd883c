// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

using namespace coppice;

TEST_CASE("a file is read, and its name stands in each line about it") {
  const tools::folder here;
  const std::string path = (here.path() / "cluster.toml").string();
  tools::write_file(path, tools::small_file());
  const auto read = read_config(path);
  REQUIRE_MESSAGE(read, tools::said(read));
  CHECK(read->nodes.front().name == "alpha");
  tools::write_file(path, tools::small_file("role = []\n"));
  CHECK(tools::said(read_config(path)) ==
        path + ":8:1: node has no key \"role\"; did you mean \"roles\"?");
}

TEST_CASE("what is no file that can be read is refused with the reason") {
  const tools::folder here;
  const std::string path = (here.path() / "cluster.toml").string();
  CHECK(tools::said(read_config(path)) ==
        path + ": the file cannot be read: No such file or directory");
  CHECK(tools::said(read_config(here.path().string())) ==
        here.path().string() + ": this is a directory; expected a file");
  CHECK(tools::said(read_config("")).find("cannot be read") != std::string::npos);
  const std::string pipe = (here.path() / "pipe").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(tools::said(read_config(pipe)).find("expected a plain file") != std::string::npos);
  tools::write_file(path, "");
  CHECK(tools::said(read_config(path)).find("the file is empty") != std::string::npos);
}

TEST_CASE("a file of exactly the most bytes is read, and one byte more is refused") {
  const tools::folder here;
  const std::string path = (here.path() / "cluster.toml").string();
  std::string text = tools::small_file("# ");
  text.resize(most_config_bytes, 'x');
  tools::write_file(path, text);
  CHECK(tools::said(read_config(path)) == "");
  tools::write_file(path, text + 'x');
  CHECK(tools::said(read_config(path)) ==
        path +
            ": the file has more than 1048576 bytes; expected a cluster file, which needs a "
            "tenth of that");
}

TEST_CASE("a byte order mark and Windows line ends are no mistake") {
  std::string text = "\xef\xbb\xbf" + tools::small_file();
  CHECK(tools::said(tools::parse(text)) == "");
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2))
    text.insert(at, 1, '\r');
  CHECK(tools::said(tools::parse(text)) == "");
}

TEST_CASE("relative paths are taken from the folder of the file") {
  const std::string text =
      "[cluster]\nname = \"shop\"\n[tls]\nca = \"ca.pem\"\ncertificate = \"/etc/{node}.pem\"\n"
      "key = \"keys/{node}.key\"\n[log]\nfile = \"{node}.log\"\n[[node]]\nname = \"alpha\"\n"
      "address = \"127.0.0.1:7101\"\nprogram = \"bin/orders\"\nhttp_token = \"file:token\"\n"
      "directory = \"run\"\n[[node]]\nname = \"beta\"\naddress = \"127.0.0.1:7102\"\n"
      "program = \"orders\"\nhttp_token = \"env:TOKEN\"\n";
  for (const char* folder : {"/etc/shop", "/etc/shop/"}) {
    const auto read = parse_config(text, "cluster.toml", folder);
    REQUIRE_MESSAGE(read, tools::said(read));
    CHECK(read->tls.ca == "/etc/shop/ca.pem");
    CHECK(read->tls.certificate == "/etc/{node}.pem");
    CHECK(read->tls.key == "/etc/shop/keys/{node}.key");
    CHECK(read->log.file == "/etc/shop/{node}.log");
    CHECK(read->nodes[0].program == "/etc/shop/bin/orders");
    CHECK(read->nodes[0].directory == "/etc/shop/run");
    CHECK(read->nodes[0].http_token == secret{secret::source::file, "/etc/shop/token"});
    CHECK(read->nodes[1].program == "orders");
    CHECK(read->nodes[1].directory == "");
    CHECK(read->nodes[1].http_token == secret{secret::source::environment, "TOKEN"});
  }
  const auto as_written = parse_config(text, "cluster.toml");
  REQUIRE(as_written);
  CHECK(as_written->tls.ca == "ca.pem");

  const tools::folder here;
  const std::string path = (here.path() / "cluster.toml").string();
  tools::write_file(path, text);
  const auto read = read_config(path);
  REQUIRE(read);
  CHECK(read->tls.ca == (here.path() / "ca.pem").string());
}

TEST_CASE("{node} stands for a node's name, each time") {
  CHECK(for_node("certificates/{node}/{node}.pem", "alpha") == "certificates/alpha/alpha.pem");
  CHECK(for_node("{node", "alpha") == "{node");
  CHECK(for_node("", "alpha").empty());
  CHECK(for_node("plain", "alpha") == "plain");
  CHECK(for_node("{node}", "{node}") == "{node}");
}

TEST_CASE("a node is found by its name, and a wrong name is answered with the nearest") {
  const auto read = tools::parse(tools::small_file(
      "[[node]]\nname = \"beta\"\naddress = \"127.0.0.1:7102\"\nzone = \"hall-2\"\n"));
  REQUIRE(read);
  const auto beta = node_named(*read, "beta");
  REQUIRE(beta);
  CHECK(beta->zone == "hall-2");
  const auto said = [&read](const char* name) {
    return node_named(*read, name).error().why()->what;
  };
  CHECK(said("bta") == "the cluster has no node \"bta\"; did you mean \"beta\"?");
  CHECK(said("zebra") == "the cluster has no node \"zebra\"; its nodes are \"alpha\" and \"beta\"");
  CHECK(said("\x1b[2J").find('\x1b') == std::string::npos);
}

TEST_CASE("a text of nothing but mistakes is told in bounds, and soon") {
  std::string text = "[limits]\n";
  for (int i = 0; text.size() < most_config_bytes - 20; ++i)
    text += "k" + std::to_string(i) + " = 1\n";
  const std::string said = tools::said(tools::parse(text));
  CHECK(said.size() < 10'000);
  CHECK(said.find("\nand ") != std::string::npos);
}

TEST_CASE("what lies deep is refused before it can overflow a stack") {
  std::string dots = "a", brackets = "a = ", braces = "a = ", quoted_dots = "'a'";
  for (int i = 0; i < 300'000; ++i) {
    dots += ".a";
    brackets += '[';
    if (i < 150'000) quoted_dots += " . \"a\"";
    if (i < 100'000) braces += "{ a = ";
  }
  for (const std::string& text : {dots + " = 1", "[" + dots + "]", brackets, braces, quoted_dots}) {
    const std::string said = tools::said(tools::parse(text));
    CHECK(said.size() < 200);
    CHECK(said.find("8") != std::string::npos);
  }
  // In comments and texts dots and brackets mean nothing.
  const std::string many(100, '.');
  const std::string open(100, '[');
  CHECK(tools::said(tools::parse(tools::small_file(
            "# " + many + open + "\narguments = [\"" + many + open + "\\\"" + many + "\", '" +
            open + "', \"\"\"" + open + "\n\"\"" + many + "\"\"\"\"\", '''" + open + "''']\n"))) ==
        "");
}
