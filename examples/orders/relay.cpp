// SPDX-License-Identifier: BSD-3-Clause
// Stands between two nodes of the shop and cuts what passes between them: SIGUSR1 cuts, SIGUSR2
// heals. For the demonstration and the tests.
#include <cluster/relay.hpp>

#include <csignal>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
  if (argc < 3 || argc % 2 == 0) {
    std::fprintf(stderr, "usage: orders_relay SOCKET TO-SOCKET [SOCKET TO-SOCKET]...\n");
    return 2;
  }
  sigset_t ours;
  sigemptyset(&ours);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGINT, SIGTERM}) sigaddset(&ours, signal);
  pthread_sigmask(SIG_BLOCK, &ours, nullptr);
  try {
    std::vector<local::relay::way> ways;
    for (int i = 1; i < argc; i += 2) ways.push_back({argv[i], argv[i + 1]});
    local::relay between{std::move(ways)};
    for (;;) {
      int signal = 0;
      sigwait(&ours, &signal);
      if (signal == SIGUSR1) between.cut();
      else if (signal == SIGUSR2) between.heal();
      else return 0;
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "orders_relay: %s\n", e.what());
    return 1;
  }
}
