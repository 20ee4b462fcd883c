// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/command_line.hpp>

#include <exception>
#include <iostream>

int main(int argc, char** argv) {
  try {
    return coppice::command::run(argc, argv, {std::cout, std::cerr});
  } catch (const std::exception& e) {
    std::cerr << "coppice: " << e.what() << '\n';
    return coppice::command::exit_failed;
  }
}
