// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/config.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

/// A cluster file is read whatever is in it; what could be read has a canonical text; a canonical
/// text of a peer is compared with ours whatever is in it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const auto read = coppice::parse_config(text, "fuzz.toml", "/etc/shop");
  if (read) {
    const std::string lines = coppice::canonical(*read);
    if (!coppice::difference(lines, lines).empty()) std::abort();
    for (const coppice::node_config& node : read->nodes)
      if (!coppice::node_named(*read, node.name)) std::abort();
  } else if (read.error().why()->what.empty()) {
    std::abort();
  }
  const std::string_view all{text};
  const std::size_t half = size / 2;
  if (coppice::difference(all.substr(0, half), all.substr(half)).size() > 21) std::abort();
  [[maybe_unused]] const auto explained = coppice::explain(all);
  return 0;
}
