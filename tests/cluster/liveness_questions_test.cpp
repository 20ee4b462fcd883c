// SPDX-License-Identifier: BSD-3-Clause
// What a node asks others about a suspect, and answers them.
#include "alone.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace alone;

TEST_CASE("a suspicion is told to as many as the options say of those that are up, in turn") {
  bench b{6};
  b.connect_all(6);
  b.mind.refused(theta, b.now, b.todo);
  b.todo.clear();
  b.run(1s, {delta, zeta, 4, 5});
  REQUIRE(b.of(beta) == opinion::suspect);
  auto questions = b.take<send_question>();
  REQUIRE(questions.size() == 3);
  CHECK(questions[0].to == delta);
  CHECK(questions[1].to == zeta);
  CHECK(questions[2].to == 4);
  for (const send_question& q : questions) {
    CHECK(q.what.about == "beta");
    CHECK(q.what.incarnation == life(0xb1));
  }
  CHECK(b.told() ==
        "alpha#000000a1 suspects beta#000000b1: silent for 1000 ms, phi 57.1; "
        "asked delta, zeta and kappa\n");
  b.todo.clear();
  b.run(499ms, {delta, zeta, 4, 5});
  CHECK(b.take<send_question>().empty());
  b.run(1ms);
  questions = b.take<send_question>();
  REQUIRE(questions.size() == 3);
  CHECK(questions[0].to == 5);
  CHECK(questions[1].to == delta);
  CHECK(questions[2].to == zeta);
  CHECK(questions[0].what.number == 4);
}

TEST_CASE("a suspect that another node hears is partly reachable, and not unreachable yet") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  REQUIRE(b.of(beta) == opinion::suspect);
  b.run(20ms, {delta});
  b.answer_all(120);
  const auto told = b.changes();
  REQUIRE(told.size() == 1);
  CHECK(told[0].from == opinion::suspect);
  CHECK(told[0].to == opinion::suspect);
  CHECK(told[0].partly_reachable);
  CHECK(told[0].reason ==
        "alpha#000000a1 still suspects beta#000000b1, silent for 1020 ms, but it is partly "
        "reachable: delta heard it 140 ms ago");
  CHECK(b.mind.view(beta).partly_reachable);

  b.run(4'859ms, {delta});
  CHECK(b.of(beta) == opinion::suspect);
  CHECK_FALSE(b.mind.view(beta).partly_reachable);  // delta has said nothing of it since
  b.run(1ms, {delta});
  CHECK(b.of(beta) == opinion::unreachable);

  // The next time it is told again.
  b.hear(beta);
  CHECK_FALSE(b.mind.view(beta).partly_reachable);
  b.run(1s, {delta});
  REQUIRE(b.of(beta) == opinion::suspect);
  b.answer_all(0);
  REQUIRE(b.changes().size() == 1);
  CHECK(b.changes()[0].partly_reachable);
}

TEST_CASE("what others hear delays unreachable, but not beyond the limit") {
  bench b{2};
  b.connect_all(2);
  std::vector<opinion_change> all;
  const auto until = b.now + 14'990ms;
  while (b.now < until) {
    b.run(10ms, {delta});
    for (const opinion_change& c : b.changes()) all.push_back(c);
    b.answer_all(50);
    for (const opinion_change& c : b.changes()) all.push_back(c);
    b.todo.clear();
  }
  CHECK(b.of(beta) == opinion::suspect);
  CHECK(all.size() == 2);  // suspect, and once that it is partly reachable
  b.run(10ms, {delta});
  CHECK(b.of(beta) == opinion::unreachable);
  CHECK(b.changes().back().partly_reachable);
  CHECK(b.changes().back().reason ==
        "alpha#000000a1 finds beta#000000b1 unreachable: silent for 15000 ms; delta heard it 550 "
        "ms ago");
}

TEST_CASE("a peer that has fallen silent to all is unreachable when the last has not heard it") {
  bench b{3};
  b.connect_all(3);
  b.run(1s, {delta, zeta});
  b.answer_all(900);  // a heartbeat or less after it was heard here
  CHECK(b.changes().empty());
  const auto until = b.now + 4'090ms;
  std::uint32_t ago = 900;
  while (b.now < until) {
    b.run(10ms, {delta, zeta});
    ago += 10;
    b.answer_all(ago);
  }
  CHECK(b.of(beta) == opinion::suspect);
  b.run(10ms, {delta, zeta});
  CHECK(b.of(beta) == opinion::unreachable);
  CHECK(b.changes().back().reason ==
        "alpha#000000a1 finds beta#000000b1 unreachable: silent for 5100 ms; delta and zeta do "
        "not hear it either");
}

TEST_CASE("of several answers the one that heard it last counts, whichever comes last") {
  bench b{3};
  b.connect_all(3);
  b.run(1s, {delta, zeta});
  const auto questions = b.take<send_question>();
  REQUIRE(questions.size() == 2);
  for (const send_question& q : questions)
    b.mind.answered(q.to, {q.what.number, "beta", life(0xb1), q.to == delta ? 100u : 700u, false},
                    b.now, b.todo);
  b.todo.clear();
  b.run(4'899ms, {delta, zeta});
  CHECK(b.of(beta) == opinion::suspect);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::unreachable);
  CHECK(b.told() ==
        "alpha#000000a1 finds beta#000000b1 unreachable: silent for 5900 ms; zeta does not hear it "
        "either\n");

  // What was answered then is not told of the next silence.
  b.hear(beta);
  b.run(1s, {delta, zeta});
  b.todo.clear();
  b.run(4s, {delta, zeta});
  CHECK(b.told() ==
        "alpha#000000a1 finds beta#000000b1 unreachable: silent for 5000 ms; nobody else could "
        "tell\n");
}

TEST_CASE("a node that hears another life of the suspect does not vouch for this one") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  const auto until = b.now + 4s;
  while (b.now < until) {
    b.run(10ms, {delta});
    b.answer_all(0, false, life(0xb2));
  }
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("the word of a node that doubts itself counts for nothing") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  const auto until = b.now + 4s;
  while (b.now < until) {
    b.run(10ms, {delta});
    b.answer_all(0, true);
  }
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("an answer that took long is no younger than its question") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  const auto questions = b.take<send_question>();
  REQUIRE(questions.size() == 1);
  b.run(2'400ms, {delta});
  b.mind.answered(delta, {questions[0].what.number, "beta", life(0xb1), 0, false}, b.now, b.todo);
  CHECK_FALSE(b.mind.view(beta).partly_reachable);
  // It was heard elsewhere 1 s later than here.
  b.run(2'599ms, {delta});
  CHECK(b.of(beta) == opinion::suspect);
  b.run(1ms, {delta});
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("an answer about a peer that is heard again comes too late to matter") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  REQUIRE(b.take<send_question>().size() == 1);
  b.hear(beta);
  b.answer_all(0);
  CHECK(b.changes().empty());
  CHECK(b.of(beta) == opinion::up);
}

TEST_CASE("what was not asked, or not of that node, is no answer") {
  bench b{3};
  b.connect_all(3);
  b.run(1s, {delta, zeta});
  const auto questions = b.take<send_question>();
  REQUIRE(questions.size() == 2);
  const auto number = questions[0].what.number;
  REQUIRE(questions[0].to == delta);
  b.todo.clear();
  b.mind.answered(zeta, {number, "beta", life(0xb1), 0, false}, b.now, b.todo);
  b.mind.answered(delta, {number + 77, "beta", life(0xb1), 0, false}, b.now, b.todo);
  b.mind.answered(delta, {number, "zeta", life(0xb1), 0, false}, b.now, b.todo);
  b.mind.answered(delta, {number, "omega", life(0xb1), 0, false}, b.now, b.todo);
  CHECK(b.todo.empty());
  CHECK_FALSE(b.mind.view(beta).partly_reachable);
  b.mind.answered(delta, {number, "beta", life(0xb1), 0, false}, b.now, b.todo);
  CHECK(b.mind.view(beta).partly_reachable);
}

TEST_CASE("questions that nobody answers do not pile up: of many the last are still open") {
  liveness_options options;
  options.unreachable_after = options.indirect_limit = 1h;
  options.ask_again = 200ms;
  options.indirect_probes = 1;
  bench b{2, options};
  b.connect_all(2);
  b.run(10s, {delta});
  const auto questions = b.take<send_question>();
  REQUIRE(questions.size() > 40);
  b.todo.clear();
  const auto answer = [&](std::size_t back) {
    const auto& q = questions[questions.size() - back];
    b.mind.answered(delta, {q.what.number, "beta", life(0xb1), 0, false}, b.now, b.todo);
    return b.mind.view(beta).partly_reachable;
  };
  CHECK_FALSE(answer(3));
  CHECK(answer(1));
}

TEST_CASE("a question is answered with how long ago the peer was heard, in which life") {
  bench b{3};
  b.connect(beta, 0xb7);
  b.connect(delta);
  b.run(150ms);
  b.todo.clear();
  b.mind.asked(delta, {41, "beta", life(0xb7)}, b.now, b.todo);
  b.mind.asked(delta, {42, "zeta", life(0xb1)}, b.now, b.todo);
  const auto answers = b.take<send_answer>();
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].to == delta);
  CHECK(answers[0].what.number == 41);
  CHECK(answers[0].what.about == "beta");
  CHECK(answers[0].what.incarnation == life(0xb7));
  CHECK(answers[0].what.heard_ms_ago == 150u);
  CHECK_FALSE(answers[0].what.doubting);
  CHECK_FALSE(answers[1].what.heard_ms_ago);  // zeta was never met
}

TEST_CASE("strangers are not answered, nor questions about nodes that there are not") {
  bench b{3};
  b.connect(beta);
  b.connect(delta);
  b.todo.clear();
  b.mind.asked(zeta, {1, "beta", life(0xb1)}, b.now, b.todo);
  b.mind.asked(beta, {1, "omega", life(0xb1)}, b.now, b.todo);
  b.mind.asked(beta, {1, "alpha", life(0xa1)}, b.now, b.todo);
  b.mind.asked(beta, {1, std::string(100'000, 'x'), life(0xb1)}, b.now, b.todo);
  CHECK(b.todo.empty());
  b.mind.left(delta, b.now, b.todo);
  b.todo.clear();
  b.mind.asked(delta, {1, "beta", life(0xb1)}, b.now, b.todo);
  CHECK(b.todo.empty());
}

TEST_CASE("a flood of questions is answered in part, and others are answered all the same") {
  bench b{3};
  b.connect_all(3);
  for (int i = 0; i < 10'000; ++i) b.mind.asked(beta, {1, "delta", life(0xb1)}, b.now, b.todo);
  CHECK(b.take<send_answer>().size() == 6);
  b.mind.asked(zeta, {1, "delta", life(0xb1)}, b.now, b.todo);
  CHECK(b.take<send_answer>().size() == 7);
  b.run(200ms);
  b.mind.asked(beta, {1, "delta", life(0xb1)}, b.now, b.todo);
  CHECK(b.take<send_answer>().size() == 8);
}

TEST_CASE("with no probes nobody is asked") {
  bench b{2, {.indirect_probes = 0}};
  b.connect_all(2);
  b.run(5s, {delta});
  CHECK(b.of(beta) == opinion::unreachable);
  CHECK(b.take<send_question>().empty());
}
