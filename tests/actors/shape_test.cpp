// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/shape.hpp>

#include <doctest/doctest.h>

using coppice::detail::fingerprint;
using coppice::detail::shapes_differ;

namespace {

std::string difference(std::string_view mine, std::string_view theirs) {
  return shapes_differ(mine, theirs).value_or("none");
}

}  // namespace

TEST_CASE("appended fields make no difference, at any depth") {
  CHECK(difference("{i,s}", "{i,s}") == "none");
  CHECK(difference("{i}", "{i,s}") == "none");
  CHECK(difference("{i,s}", "{i}") == "none");
  CHECK(difference("{}", "{i,[s]}") == "none");
  CHECK(difference("{[{i}],s}", "{[{i,<s:{b}>}],s,?r}") == "none");
  CHECK(difference("{|i,{s}|}", "{|i,{s,b}|,y<4>}") == "none");
}

TEST_CASE("a difference is told by where it stands, and what stands here and there") {
  CHECK(difference("{i,s}", "{i,i}") == "field 2: a text here, an integer there");
  CHECK(difference("{i,[{s,b}]}", "{i,[{s,f}]}") ==
        "field 2 of the elements of field 2: a boolean here, a real number there");
  CHECK(difference("i", "s") == "the event: an integer here, a text there");
}
