// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/bring_up.hpp>
#include <coppice/runtime/command/command_line.hpp>
#include <coppice/runtime/command/status.hpp>
#include <coppice/runtime/command/steer.hpp>
#include <coppice/runtime/command/trees.hpp>
#include <coppice/runtime/wire/certificates.hpp>

#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

namespace coppice::command {

namespace {

constexpr const char* usual_file = "cluster.toml";
constexpr const char* file_variable = "COPPICE_CONFIG";

/// What the options write to. One set for all commands: only one of them runs.
struct options {
  std::string file = usual_file;
  std::string what{};
  std::vector<std::string> nodes{};
  std::string certificate{};
  std::string key{};
  up_request up{};
  std::uint64_t stop_deadline_ms = 0;
  bool json = false;
  bool follow = false;
  bool markdown = false;
  std::string folder{};
  std::string cluster{};
  bool replace = false;
  std::uint64_t days = 0;
};

class command_line {
 public:
  explicit command_line(const terminal& to);
  int run(int argc, const char* const* argv);

 private:
  void cluster_commands();
  void config_commands();
  void certificate_commands();
  CLI::App* command(CLI::App& parent, const char* name, const char* help, std::function<int()> run);
  void takes_file(CLI::App* on, bool positional);
  void takes_certificate(CLI::App* on);

  int with_cluster(const std::function<int(const cluster_config&)>& go);
  int check();
  int explain();
  int reference();
  int init_certificates();
  int issue_certificates();
  int wrong(const error& e, int code = exit_usage);
  wire::certificate_options certificate_options() const;

  const terminal& to_;
  CLI::App app_{"Works on Coppice clusters.", "coppice"};
  options o_;
  std::function<int()> chosen_;
};

command_line::command_line(const terminal& to) : to_(to) {
  app_.require_subcommand(1);
  o_.stop_deadline_ms = static_cast<std::uint64_t>(o_.up.stop_deadline.count());
  cluster_commands();
  config_commands();
  certificate_commands();
  app_.footer(
      "The cluster file is cluster.toml in this folder, or what COPPICE_CONFIG names.\n"
      "`coppice COMMAND --help` tells more about each.");
}

CLI::App* command_line::command(CLI::App& parent, const char* name, const char* help,
                                std::function<int()> run) {
  CLI::App* sub = parent.add_subcommand(name, help);
  sub->final_callback([this, run = std::move(run)] { chosen_ = run; });
  return sub;
}

void command_line::takes_file(CLI::App* on, bool positional) {
  on->add_option(positional ? "cluster,--config" : "--config", o_.file, "the cluster file")
      ->envname(file_variable)
      ->capture_default_str();
}

void command_line::takes_certificate(CLI::App* on) {
  CLI::Option* const certificate =
      on->add_option("--certificate", o_.certificate,
                     "shown to nodes with http_tls, instead of that of a node on this machine");
  CLI::Option* const key = on->add_option("--key", o_.key, "its private key");
  certificate->needs(key);
  key->needs(certificate);
}

void command_line::cluster_commands() {
  CLI::App* up =
      command(app_, "up", "Runs the cluster's nodes on this machine until Ctrl-C.", [this] {
        return with_cluster([this](const cluster_config& c) {
          o_.up.config_path = o_.file;
          o_.up.nodes = o_.nodes;
          o_.up.stop_deadline =
              std::chrono::milliseconds{static_cast<std::int64_t>(o_.stop_deadline_ms)};
          return bring_up(c, o_.up, to_);
        });
      });
  takes_file(up, true);
  up->add_option("--node", o_.nodes, "only these, wherever their addresses are")->delimiter(',');
  up->add_option("--profile", o_.up.profile, "instead of the file's, for all nodes")
      ->check(CLI::IsMember({"default", "loopback"}));
  up->add_option("--stop-deadline-ms", o_.stop_deadline_ms,
                 "milliseconds from asking the nodes to stop to killing them")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{86'400'000}))
      ->capture_default_str();

  CLI::App* status = command(
      app_, "status", "Shows each node: its state and what it thinks of the others.", [this] {
        return with_cluster(
            [this](const cluster_config& c) { return show_status(c, o_.nodes, o_.json, to_); });
      });
  takes_file(status, true);
  takes_certificate(status);
  status->add_option("--node", o_.nodes, "only these")->delimiter(',');
  status->add_flag("--json", o_.json, "one JSON object a node, as it answers");

  CLI::App* tree = command(app_, "tree", "Shows the supervision trees.", [this] {
    return with_cluster([this](const cluster_config& c) {
      return show_trees(c, {o_.what, o_.nodes, o_.json, o_.follow}, to_);
    });
  });
  tree->add_option("path", o_.what, "/shop/stock or alpha:/shop/stock; without it everything");
  takes_file(tree, false);
  takes_certificate(tree);
  tree->add_option("--node", o_.nodes, "only these")->delimiter(',');
  tree->add_flag("--json", o_.json, "as JSON, one object a node");
  tree->add_flag("--follow", o_.follow, "goes on with what changes");

  CLI::App* kill =
      command(app_, "kill", "Kills an actor, which its supervisor restarts, or a node.", [this] {
        return with_cluster(
            [this](const cluster_config& c) { return command::kill(c, o_.file, o_.what, to_); });
      });
  kill->add_option("what", o_.what, "alpha:/shop/stock, or alpha for the whole node")->required();
  takes_file(kill, false);
  takes_certificate(kill);

  CLI::App* stop =
      command(app_, "stop", "Asks a node to stop in order; `up` does not start it again.", [this] {
        return with_cluster(
            [this](const cluster_config& c) { return command::stop(c, o_.file, o_.what, to_); });
      });
  stop->add_option("node", o_.what, "its name")->required();
  takes_file(stop, false);
  takes_certificate(stop);
}

void command_line::config_commands() {
  CLI::App* config = app_.add_subcommand("config", "About cluster files.");
  config->require_subcommand(1);
  CLI::App* check_it =
      command(*config, "check", "Tells all that is wrong with a file.", [this] { return check(); });
  takes_file(check_it, true);
  CLI::App* about = command(*config, "explain", "Tells all about a key, e.g. limits.message_bytes.",
                            [this] { return explain(); });
  about->add_option("key", o_.what, "a key or a section")->required();
  CLI::App* all = command(*config, "reference", "Prints a file with all keys and their defaults.",
                          [this] { return reference(); });
  all->add_flag("--markdown", o_.markdown, "the reference page instead");
}

void command_line::certificate_commands() {
  CLI::App* cert = app_.add_subcommand("cert", "Makes a cluster's certificates.");
  cert->require_subcommand(1);
  const auto common = [this](CLI::App* on) {
    on->add_option("folder", o_.folder, "where the files are")->required();
    on->add_option("--days", o_.days,
                   "that they are valid; as usual: 3650 for an authority, 365 "
                   "for a node")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{36'500}));
    on->add_flag("--replace", o_.replace, "files that are there");
  };
  CLI::App* init =
      command(*cert, "init", "Makes the authority, in a folder that only you can read.",
              [this] { return init_certificates(); });
  common(init);
  init->add_option("--cluster", o_.cluster, "the cluster's name, as in its file")->required();
  CLI::App* issue =
      command(*cert, "issue", "Makes certificates for nodes, signed by the authority.",
              [this] { return issue_certificates(); });
  common(issue);
  issue->add_option("node", o_.nodes, "their names")->required();
}

int command_line::run(int argc, const char* const* argv) {
  std::string name;  // as far as the commands go
  const auto deepest = [&] {
    const CLI::App* sub = &app_;
    int depth = 0;
    for (name = "coppice"; !sub->get_subcommands().empty(); ++depth) {
      sub = sub->get_subcommands().front();
      name += ' ' + sub->get_name();
    }
    return std::pair{sub, depth};
  };
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    to_.out << app_.help();
    return 0;
  } catch (const CLI::ParseError& e) {
    const auto [sub, depth] = deepest();
    std::string what = e.what();
    if (sub->get_require_subcommand_min() > 0 && argc > depth + 1 && argv[depth + 1][0] != '-') {
      what = "there is no command '" + std::string{argv[depth + 1]} + "'; there are";
      for (const CLI::App* known : sub->get_subcommands({})) what += ' ' + known->get_name();
    }
    to_.err << name << ": " << what << "\nTry '" << name << " --help'.\n";
    return exit_usage;
  }
  return chosen_();
}

int command_line::wrong(const error& e, int code) {
  to_.err << sentence(e) << '\n';
  return code;
}

int command_line::with_cluster(const std::function<int(const cluster_config&)>& go) {
  auto config = read_config(o_.file);
  if (!config) return wrong(config.error());
  if (!o_.certificate.empty()) {
    config->tls.certificate = o_.certificate;
    config->tls.key = o_.key;
  }
  return go(*config);
}

// ---- about files --------------------------------------------------------------------------------

int command_line::check() {
  return with_cluster([this](const cluster_config& config) {
    std::string names;
    for (const node_config& node : config.nodes) names += (names.empty() ? "" : ", ") + node.name;
    to_.out << o_.file << ": nothing is wrong; cluster '" << config.cluster.name << "' of "
            << config.nodes.size() << (config.nodes.size() == 1 ? " node: " : " nodes: ") << names
            << '\n';
    return 0;
  });
}

int command_line::explain() {
  const auto text = coppice::explain(o_.what);
  if (!text) return wrong(text.error());
  to_.out << *text << (text->ends_with('\n') ? "" : "\n");
  return 0;
}

int command_line::reference() {
  to_.out << (o_.markdown ? reference_markdown() : reference_toml());
  return 0;
}

wire::certificate_options command_line::certificate_options() const {
  wire::certificate_options given;
  if (o_.days > 0) given.valid_for = std::chrono::hours{24} * static_cast<int>(o_.days);
  given.overwrite = o_.replace;
  return given;
}

int command_line::init_certificates() {
  const auto made = wire::create_authority(o_.folder, o_.cluster, certificate_options());
  if (!made) return wrong(made.error(), exit_failed);
  to_.out << made->certificate.string() << '\n'
          << made->key.string() << ": can make any node: keep it off the nodes\n";
  return 0;
}

int command_line::issue_certificates() {
  for (const std::string& node : o_.nodes) {
    const auto made = wire::issue_certificate(o_.folder, node, certificate_options());
    if (!made) return wrong(made.error(), exit_failed);
    to_.out << made->certificate.string() << '\n' << made->key.string() << '\n';
  }
  return 0;
}

}  // namespace

int run(int argc, const char* const* argv, const terminal& to) {
  command_line line{to};
  return line.run(argc, argv);
}

}  // namespace coppice::command
