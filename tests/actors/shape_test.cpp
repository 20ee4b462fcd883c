// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/shape.hpp>

#include <random>

#include <doctest/doctest.h>

using coppice::detail::fingerprint;
using coppice::detail::shapes_differ;

namespace {

/// How they differ, told from both sides; "nothing" if they do not.
std::string difference(std::string_view mine, std::string_view theirs) {
  CHECK(shapes_differ(mine, theirs).has_value() == shapes_differ(theirs, mine).has_value());
  return shapes_differ(mine, theirs).value_or("nothing");
}

constexpr const char* nonsense = "the shapes cannot be compared: one is not well-formed";

constexpr std::string_view one_of_each =
    "{b,i,f,s,y,y<16>,[i],[s;4],(i),<s:{i}>,?i,??b,|i,s,{}|,{},t<ms>,t<s,f>,t<2/"
    "7>,p<d>,r,{[^0],^1}}";

}  // namespace

TEST_CASE("equal shapes do not differ") {
  CHECK(difference(one_of_each, one_of_each) == "nothing");
  CHECK(difference("", "") == "nothing");
}

TEST_CASE("appended fields make no difference, at any depth") {
  CHECK(difference("{i}", "{i,s}") == "nothing");
  CHECK(difference("{}", "{i,[s]}") == "nothing");
  CHECK(difference("{[{i}],s}", "{[{i,<s:{b}>}],s,?r}") == "nothing");
  CHECK(difference("{[{i}],s,b}", "{[{i,i}],s}") == "nothing");
  CHECK(difference("{|i,{s}|}", "{|i,{s,b}|,y<4>}") == "nothing");
  CHECK(difference("{?{},[{};2],<s:{}>,{{}}}", "{?{i},[{i};2],<s:{i}>,{{i}}}") == "nothing");
  CHECK(difference("{i,[^0]}", "{i,[^0],s}") == "nothing");
  std::string all{one_of_each};
  all.insert(all.size() - 1, "," + all);
  CHECK(difference(one_of_each, all) == "nothing");
}

TEST_CASE("a difference is told by where it stands, with what stands here and there") {
  CHECK(difference("i", "s") == "the event: an integer here, a text there");
  CHECK(difference("{i,s}", "{i,i}") == "field 2: a text here, an integer there");
  CHECK(difference("{i,i}", "{i,f,s}") == "field 2: an integer here, a real number there");
  CHECK(difference("{i,[{s,b}]}", "{i,[{s,f}]}") ==
        "field 2 of the elements of field 2: a boolean here, a real number there");
  CHECK(difference("{<s:{i,t<ms>}>}", "{<s:{i,t<us>}>}") ==
        "field 2 of the values of field 1: a duration in ms here, a duration in us there");
  CHECK(difference("{<s:i>}", "{<i:i>}") == "the keys of field 1: a text here, an integer there");
  CHECK(difference("{?i}", "{?s}") == "the value of field 1: an integer here, a text there");
  CHECK(difference("{?i}", "{i}") == "field 1: an optional value here, an integer there");
  CHECK(difference("{|i,s|}", "{|i,b|}") ==
        "alternative 2 of field 1: a text here, a boolean there");
  CHECK(difference("{|i,s|}", "{|i,s,b|}") == "field 1: 2 alternatives here, more there");
  CHECK(difference("{|i,s,b|}", "{|i,s|}") == "field 1: more here, 2 alternatives there");
  CHECK(difference("{[i;4]}", "{[i;5]}") == "field 1: 4 elements here, 5 elements there");
  CHECK(difference("{[i;4]}", "{[i]}") == "field 1: an array here, a sequence there");
  CHECK(difference("{(i)}", "{[i]}") == "field 1: a set here, a sequence there");
  CHECK(difference("{y<4>}", "{y<5>}") == "field 1: 4 bytes here, 5 bytes there");
  CHECK(difference("{y}", "{y<5>}") == "field 1: any bytes here, bytes of one length there");
  CHECK(difference("{p<s>}", "{t<s>}") == "field 1: a point in time here, a duration there");
  CHECK(difference("{t<s>}", "{t<s,f>}") ==
        "field 1: a duration in s here, a duration in s,f there");
  CHECK(difference("{p<s>}", "{p<ms>}") ==
        "field 1: a point in time in s here, a point in time in ms there");
  CHECK(difference("{r}", "{y}") == "field 1: a ref here, bytes there");
  CHECK(difference("{[^0]}", "{[{i}]}") ==
        "the elements of field 1: the struct around it here, a struct there");
  CHECK(difference("{{[^0]}}", "{{[^1]}}") ==
        "the elements of field 1 of field 1: the struct 0 levels up here, "
        "the struct 1 levels up there");
}

TEST_CASE("keys do not grow, because two of them could become one") {
  CHECK(difference("{({i})}", "{({i,s})}") == "the elements of field 1: 1 field here, more there");
  CHECK(difference("{<{i,s}:i>}", "{<{i}:i>}") == "the keys of field 1: more here, 1 field there");
  CHECK(difference("{({i}),{}}", "{({i}),{s}}") == "nothing");
}

TEST_CASE("a shape that makes no sense is told as that") {
  for (const char* theirs : {"",        "{",         "{i",
                             "{i,",     "{i,}",      "{i}x",
                             "{i}}",    "{x}",       "{i s}",
                             "{i,[}",   "{i,[i}",    "{i,[i;]}",
                             "{i,y<>}", "{i,y<4}",   "{i,t}",
                             "{i,t<>}", "{i,t<MS>}", "{i,^}",
                             "{i,?}",   "{i,|}",     "{i,||}",
                             "{i,|i}",  "{i,<i>}",   "{i,<i:>}",
                             "{i,(}",   "{,i}",      "{i,y<123456789012345678901234567890123>}"}) {
    CAPTURE(theirs);
    CHECK(difference("{i}", theirs) == nonsense);
  }
}

TEST_CASE("a shape nested without end is refused at a bounded depth") {
  const std::string deep(1'000'000, '['), wide(1'000'000, '{');
  CHECK(difference("{i}", "{i," + deep) == nonsense);
  CHECK(difference("{i}", "{i," + wide) == nonsense);
  CHECK(difference(deep, deep + "i") == nonsense);
}

TEST_CASE("mutated shapes are compared or refused") {
  std::mt19937 random{3};
  constexpr std::string_view signs = "{}[]()<>|?^,:;/bifsytpr0123456789x";
  int compatible = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string x{one_of_each};
    for (auto n = 1 + random() % 3; n > 0; --n)
      if (random() % 2) x[random() % x.size()] = signs[random() % signs.size()];
      else x.erase(random() % x.size(), 1 + random() % 3);
    compatible += !difference(one_of_each, x).compare("nothing");
  }
  MESSAGE("20000 mutated shapes, " << compatible << " compatible");
  CHECK(compatible > 0);
}

TEST_CASE("a fingerprint is FNV-1a with 64 bits") {
  CHECK(fingerprint("") == 0xcbf29ce484222325);
  CHECK(fingerprint("a") == 0xaf63dc4c8601ec8c);
  CHECK(fingerprint("foobar") == 0x85944171f73967e8);
}
