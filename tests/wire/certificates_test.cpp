// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/certificates.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include "folder.hpp"

using namespace coppice;
using namespace coppice::wire;
using namespace std::chrono_literals;
using tools::folder;

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void put(const std::filesystem::path& path, const std::string& text) {
  std::ofstream{path, std::ios::binary} << text;
}

unsigned mode(const std::filesystem::path& path) {
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  return about.st_mode & 0777U;
}

/// The openssl program: what it says of certificates does not depend on our code.
std::string openssl(const std::string& arguments) {
  std::string said;
  FILE* const pipe = ::popen(("openssl " + arguments + " 2>&1").c_str(), "r");
  REQUIRE(pipe);
  char some[1024];
  while (std::fgets(some, sizeof some, pipe)) said += some;
  ::pclose(pipe);
  return said;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string failure(const result<issued_certificate>& r) {
  return r ? std::string{"it was issued"} : to_string(r.error().why());
}

std::vector<std::string> names_in(const std::filesystem::path& path) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{path})
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("an authority and its nodes' certificates are what another implementation accepts") {
  folder at;
  const auto authority = create_authority(at.path, "shop");
  REQUIRE(authority);
  const auto stock = issue_certificate(at.path, "stock");
  REQUIRE(stock);
  CHECK(stock->certificate == at.path / "stock.crt");
  CHECK(stock->key == at.path / "stock.key");

  const std::string ca = authority->certificate, crt = stock->certificate;
  for (const char* purpose : {"sslserver", "sslclient"})
    CHECK(openssl("verify -x509_strict -purpose " + std::string{purpose} + " -CAfile " + ca + " " +
                  crt) == crt + ": OK\n");
  CHECK(has(openssl("verify -verify_hostname stock.shop -CAfile " + ca + " " + crt), ": OK"));
  CHECK_FALSE(has(openssl("verify -verify_hostname other.shop -CAfile " + ca + " " + crt), "OK"));
  const std::string text = openssl("x509 -noout -text -in " + crt);
  CHECK(has(text, "DNS:stock.shop"));
  CHECK(has(text, "NIST CURVE: P-256"));
  CHECK(has(text, "CA:FALSE"));
  CHECK(has(text, "Digital Signature"));
  CHECK(has(text, "TLS Web Server Authentication, TLS Web Client Authentication"));
  CHECK(has(openssl("x509 -noout -text -in " + ca), "CA:TRUE, pathlen:0"));
}

TEST_CASE("the files are their owner's alone, nothing else is left in the folder") {
  folder at;
  const auto certs = at.path / "deep" / "down";
  const ::mode_t before = ::umask(0);
  const auto authority = create_authority(certs, "shop");
  const auto stock = issue_certificate(certs, "stock");
  ::umask(before);
  REQUIRE(authority);
  REQUIRE(stock);
  CHECK(names_in(certs) == std::vector<std::string>{"ca.crt", "ca.key", "stock.crt", "stock.key"});
  for (const auto& path : {authority->certificate, authority->key, stock->certificate, stock->key})
    CHECK(mode(path) == 0600);
  CHECK(mode(certs) == 0700);
}

TEST_CASE("what is there is not overwritten unless told to, and the folder stays as it was") {
  folder at;
  REQUIRE(create_authority(at.path, "shop"));
  REQUIRE(issue_certificate(at.path, "stock"));
  const std::string ca = content(at.path / "ca.key"), key = content(at.path / "stock.key");

  CHECK(has(failure(create_authority(at.path, "shop")), "ca.crt is there already"));
  CHECK(has(failure(issue_certificate(at.path, "stock")), "stock.crt is there already"));
  std::filesystem::remove(at.path / "stock.crt");
  CHECK(has(failure(issue_certificate(at.path, "stock")), "stock.key is there already"));
  CHECK(content(at.path / "ca.key") == ca);
  CHECK(content(at.path / "stock.key") == key);
  CHECK(names_in(at.path) == std::vector<std::string>{"ca.crt", "ca.key", "stock.key"});

  certificate_options again;
  again.overwrite = true;
  REQUIRE(issue_certificate(at.path, "stock", again));
  CHECK(content(at.path / "stock.key") != key);
  CHECK(has(openssl("verify -CAfile " + (at.path / "ca.crt").string() + " " +
                    (at.path / "stock.crt").string()),
            ": OK"));
}

TEST_CASE("a link that dangles counts as a file that is there") {
  folder at;
  REQUIRE(create_authority(at.path, "shop"));
  std::filesystem::create_symlink(at.path / "elsewhere", at.path / "stock.key");
  CHECK(has(failure(issue_certificate(at.path, "stock")), "is there already"));
  CHECK_FALSE(std::filesystem::exists(at.path / "elsewhere"));
}

TEST_CASE("names that would not survive as a file or in a certificate are refused") {
  folder at;
  for (const std::string bad : {"", "a.b", "../a", "a/b", "a b", "ä", "a_b", "*"}) {
    CHECK(has(failure(create_authority(at.path, bad)), "is no name for a cluster"));
    CHECK(has(failure(issue_certificate(at.path, bad)), "is no name for a node"));
  }
  CHECK(has(failure(create_authority(at.path, std::string(64, 'a'))), "is no name for a cluster"));
  CHECK(names_in(at.path).empty());
  REQUIRE(create_authority(at.path, std::string(63, 'a')));
  CHECK(issue_certificate(at.path, std::string(63, 'b')));
  CHECK(has(failure(issue_certificate(at.path, "ca")), "the files of the authority"));
}

TEST_CASE("an authority lasts ten years, a node one, and never longer than its authority") {
  folder at;
  const auto near = [](std::chrono::system_clock::time_point when, std::chrono::hours from_now) {
    const auto off = when - (std::chrono::system_clock::now() + from_now);
    return off < 2h && off > -2h;
  };
  const auto authority = create_authority(at.path, "shop");
  REQUIRE(authority);
  CHECK(near(authority->valid_until, 24h * 3650));
  CHECK(near(issue_certificate(at.path, "stock")->valid_until, 24h * 365));
  certificate_options longer;
  longer.valid_for = 24h * 365 * 50;
  const auto oldest = issue_certificate(at.path, "intake", longer);
  REQUIRE(oldest);
  CHECK(std::chrono::floor<std::chrono::seconds>(oldest->valid_until) ==
        std::chrono::floor<std::chrono::seconds>(authority->valid_until));
}

TEST_CASE("without a whole and valid authority nothing is issued, and the reason is told") {
  folder at;
  CHECK(has(failure(issue_certificate(at.path, "stock")), "ca.crt: No such file or directory"));
  REQUIRE(create_authority(at.path, "shop"));
  const std::string crt = content(at.path / "ca.crt"), key = content(at.path / "ca.key");

  put(at.path / "ca.crt", "rubbish");
  CHECK(has(failure(issue_certificate(at.path, "stock")), "ca.crt holds no certificate"));
  put(at.path / "ca.crt", crt.substr(0, crt.size() / 2));
  CHECK(has(failure(issue_certificate(at.path, "stock")), "ca.crt holds no certificate"));
  put(at.path / "ca.crt", crt);
  put(at.path / "ca.key", key.substr(0, key.size() / 2));
  CHECK(has(failure(issue_certificate(at.path, "stock")), "ca.key holds no key"));
  std::filesystem::remove(at.path / "ca.key");
  CHECK(has(failure(issue_certificate(at.path, "stock")), "ca.key: No such file or directory"));
  REQUIRE(::mkfifo((at.path / "ca.key").c_str(), 0600) == 0);
  CHECK(has(failure(issue_certificate(at.path, "stock")), "ca.key is not a file"));
  std::filesystem::remove(at.path / "ca.key");

  folder other;
  REQUIRE(create_authority(other.path, "shop"));
  put(at.path / "ca.key", content(other.path / "ca.key"));
  CHECK(has(failure(issue_certificate(at.path, "stock")), "does not belong to"));

  certificate_options old;
  old.overwrite = true;
  old.valid_from = std::chrono::system_clock::now() - 48h;
  old.valid_for = 24h;
  REQUIRE(create_authority(at.path, "shop", old));
  CHECK(has(failure(issue_certificate(at.path, "stock")), "The authority itself expired on"));
}

TEST_CASE("a folder that cannot be written is told, not thrown") {
  folder at;
  put(at.path / "file", "in the way");
  CHECK(has(failure(create_authority(at.path / "file" / "certs", "shop")),
            "Cannot create the folder"));
  CHECK(has(failure(create_authority(at.path / "file", "shop")), "file"));
}
