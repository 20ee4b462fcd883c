// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/keys.hpp>

#include <coppice/actors/detail/assert.hpp>

#include <algorithm>

namespace coppice::detail {

namespace {

constexpr std::int64_t KiB = 1 << 10, MiB = 1 << 20, GiB = 1 << 30;
constexpr std::int64_t second = 1'000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;

/// Bytes of a name, entries of a list: nobody needs more, and error texts stay readable.
constexpr number_range name_length{1, 63}, text_length{0, 4'096}, list_length{0, 64};

// ---- [cluster] ----------------------------------------------------------------------------------

constexpr std::string_view profile_words[] = {"default", "loopback"};

constexpr key cluster_keys[] = {
    {.name = "name",
     .field = bind<&cluster_config::cluster, &cluster_identity::name>(),
     .what = "Names the cluster. Nodes refuse each other when it differs.",
     .why = "It has no default, so that two clusters on one network cannot mix by an address that "
            "was written wrong.",
     .range = name_length,
     .looks = &node_name,
     .example = "\"shop\"",
     .required = true,
     .agreed = true},
    {.name = "profile",
     .field = bind<&cluster_config::cluster, &cluster_identity::profile>(),
     .what = "Which defaults hold: \"default\" for machines on a network, \"loopback\" for a "
             "cluster on one machine. What the file says itself goes before either.",
     .why = "A network may be silent for a second and be well; on one machine silence means "
            "something sooner.",
     .words = profile_words},
    {.name = "bulk",
     .field = bind<&cluster_config::cluster, &cluster_identity::bulk>(),
     .what = "Actors whose path matches one of these are addressed over the bulk lane: what is "
             "sent to them, and what they answer, holds up nothing of what is sent to others.",
     .why = "By default there is one lane: two keep no order between them, and only messages that "
            "are long, or very many, are worth that.",
     .range = list_length,
     .looks = &path_pattern,
     .example = "[\"/orders/archive/**\"]",
     .agreed = true},
};

// ---- [tls] --------------------------------------------------------------------------------------

constexpr key tls_keys[] = {
    {.name = "ca",
     .field = bind<&cluster_config::tls, &tls_config::ca>(),
     .what = "Certificate of the authority that has signed every node's certificate, in PEM. With "
             "it go certificate and key.",
     .why = "It has no default: who may join is nothing to guess.",
     .range = text_length,
     .looks = &file_path_per_node,
     .example = "\"certificates/ca.pem\""},
    {.name = "certificate",
     .field = bind<&cluster_config::tls, &tls_config::certificate>(),
     .what = "The node's own certificate, in PEM. It must name the node.",
     .why = "As ca, it has no default.",
     .range = text_length,
     .looks = &file_path_per_node,
     .example = "\"certificates/{node}.pem\""},
    {.name = "key",
     .field = bind<&cluster_config::tls, &tls_config::key>(),
     .what = "The private key of that certificate, in PEM.",
     .why = "As ca, it has no default.",
     .range = text_length,
     .looks = &file_path_per_node,
     .example = "\"certificates/{node}.key\""},
    {.name = "insecure",
     .field = bind<&cluster_config::tls, &tls_config::insecure>(),
     .what = "True: no TLS. Nodes talk in the open, and whoever reaches an address may claim to be "
             "any node.",
     .why = "Nobody should talk in the open without having said so.",
     .agreed = true},
};

// ---- [[node]] -----------------------------------------------------------------------------------

constexpr key node_keys[] = {
    {.name = "name",
     .field = bind<&cluster_config::nodes, &node_config::name>(),
     .what = "Names the node in the cluster: in paths, in logs, in its certificate.",
     .why = "It has no default: the name picks which of the nodes a process is.",
     .range = name_length,
     .looks = &node_name,
     .example = "\"alpha\"",
     .required = true,
     .agreed = true},
    {.name = "address",
     .field = bind<&cluster_config::nodes, &node_config::address>(),
     .what = "Where the node listens, and where its peers reach it.",
     .why = "It has no default: each node needs one of its own.",
     .range = {1, 300},
     .looks = &peer_address,
     .example = "\"127.0.0.1:7101\"",
     .required = true,
     .agreed = true},
    {.name = "zone",
     .field = bind<&cluster_config::nodes, &node_config::zone>(),
     .what = "Which rack, hall or site the node stands in. Copies of one service are spread over "
             "zones.",
     .why = "By default all nodes stand in one place.",
     .range = name_length,
     .looks = &label,
     .example = "\"hall-2\"",
     .agreed = true},
    {.name = "roles",
     .field = bind<&cluster_config::nodes, &node_config::roles>(),
     .what = "What the node is there for: a program chooses by them what it runs, and [[allow]] "
             "what it may send. The role \"admin\" may address the runtime's own actors and, "
             "with http_tls, kill and stop over HTTP.",
     .why = "By default a node has no role, hence none of a role's permissions.",
     .range = list_length,
     .looks = &label,
     .example = "[\"intake\"]",
     .agreed = true},
    {.name = "program",
     .field = bind<&cluster_config::nodes, &node_config::program>(),
     .what = "What `coppice up` starts for the node. A name without '/' is looked for in PATH.",
     .why = "It has no default: nodes may also be started by something else.",
     .range = text_length,
     .looks = &program_path,
     .example = "\"./orders\""},
    {.name = "arguments",
     .field = bind<&cluster_config::nodes, &node_config::arguments>(),
     .what = "What the program is given besides the file and the node's name.",
     .why = "Most programs need no more.",
     .range = {0, 256},
     .looks = &free_text,
     .example = "[\"--workers\", \"2\"]"},
    {.name = "http",
     .field = bind<&cluster_config::nodes, &node_config::http>(),
     .what = "Where the node serves health, metrics and the commands of `coppice` over HTTP. Other "
             "than on loopback it needs http_token or http_tls.",
     .why = "By default there is no port that nobody asked for.",
     .range = {1, 300},
     .looks = &host_and_port,
     .example = "\"127.0.0.1:8101\""},
    {.name = "http_token",
     .field = bind<&cluster_config::nodes, &node_config::http_token>(),
     .what = "Where the secret is that a caller over HTTP must know: in an environment variable or "
             "in a file, read when it is needed. Never the secret itself. With http_tls only who "
             "kills or stops must know it, unless by an admin's certificate.",
     .why = "By default whoever reaches the port may ask, hence loopback only.",
     .range = text_length,
     .looks = &secret_reference,
     .example = "\"env:SHOP_HTTP_TOKEN\""},
    {.name = "http_tls",
     .field = bind<&cluster_config::nodes, &node_config::http_tls>(),
     .what = "True: HTTP goes through TLS 1.3 with the certificates of [tls]. Whoever connects has "
             "to show one that the authority has signed for a name in this cluster, and may read; "
             "to kill and to stop it has to be that of a node with the role \"admin\", or "
             "http_token has to be known besides.",
     .why =
         "On loopback, as is usual, nobody else can listen; and what asks for health and metrics "
         "mostly has no certificate."},
    {.name = "directory",
     .field = bind<&cluster_config::nodes, &node_config::directory>(),
     .what = "The folder that `coppice up` starts the program in.",
     .why = "By default that is the folder `coppice up` was started in.",
     .range = text_length,
     .looks = &file_path,
     .example = "\"run/alpha\""},
};

// ---- [limits] -----------------------------------------------------------------------------------

constexpr key limits_keys[] = {
    {.name = "message_bytes",
     .field = bind<&cluster_config::limits, &limits_config::message_bytes>(),
     .what = "The largest message between nodes. A larger one is refused to its sender; a peer "
             "that sends one nevertheless is cut off.",
     .why = "Far beyond what an event should be, and small enough that a peer cannot fill the "
            "memory with one.",
     .unit = "bytes",
     .range = {KiB, GiB},
     .agreed = true},
    {.name = "send_buffer_bytes",
     .field = bind<&cluster_config::limits, &limits_config::send_buffer_bytes>(),
     .what =
         "What may wait for one peer, sent or not, until the peer has acknowledged it; for what "
         "goes over the bulk lane (cluster.bulk) there is as much besides. When it is full, what "
         "is sent waits in the mailbox of each address, 10,000 events of it; then "
         "asks are answered `overloaded` and sends become dead letters. Answers, and what keeps "
         "watches and links true, may use as much again; beyond that the session ends. A message "
         "that is larger goes alone, when nothing else waits.",
     .why = "Some 100,000 small events, or what a gigabit link carries in 70 ms.",
     .unit = "bytes",
     .range = {64 * KiB, 4 * GiB}},
    {.name = "ack_every_bytes",
     .field = bind<&cluster_config::limits, &limits_config::ack_every_bytes>(),
     .what = "After how much of what it has received a node acknowledges it.",
     .why = "A small part of the send buffer, so that the sender never waits for it, and seldom "
            "enough to cost nothing.",
     .unit = "bytes",
     .range = {KiB, 64 * MiB}},
    {.name = "ack_every_ms",
     .field = bind<&cluster_config::limits, &limits_config::ack_every>(),
     .what = "After how long at most a node acknowledges what it has received.",
     .why = "Frees a sender's memory soon after a burst, at most 20 small frames a second.",
     .range = {1, 10 * second}},
    {.name = "connect_deadline_ms",
     .field = bind<&cluster_config::limits, &limits_config::connect_deadline>(),
     .what = "How long connecting to a peer may take before it is tried anew.",
     .why =
         "The first packet may be lost twice: it is sent again after one second and after three.",
     .range = {10, 10 * minute}},
    {.name = "handshake_deadline_ms",
     .field = bind<&cluster_config::limits, &limits_config::handshake_deadline>(),
     .what = "How long a new connection has to prove whose it is before it is closed.",
     .why = "Far more than TLS takes on a bad network, and short enough that idle strangers do not "
            "gather.",
     .range = {10, 10 * minute}},
    {.name = "session_limit_ms",
     .field = bind<&cluster_config::limits, &limits_config::session_limit>(),
     .what = "How long a session outlives its connection. A connection that is back by then goes "
             "on where it was, without a loss; after that, asks fail `disconnected` and "
             "what was not acknowledged becomes `unconfirmed`.",
     .why = "Outlives a switch that restarts its port, and is not much longer than a peer takes to "
            "be unreachable.",
     .range = {100, hour},
     .loopback = 3 * second,
     .agreed = true},
    {.name = "reconnect_first_ms",
     .field = bind<&cluster_config::limits, &limits_config::reconnect_first>(),
     .what = "The pause before the second attempt to connect; the first comes at once. Each pause "
             "is up to twice the one before, by chance.",
     .why = "A node that restarts is back within a few of these.",
     .range = {1, minute}},
    {.name = "reconnect_most_ms",
     .field = bind<&cluster_config::limits, &limits_config::reconnect_most>(),
     .what = "The longest pause between two attempts to connect.",
     .why = "A peer that comes back after a day is found within two seconds, at the cost of one "
            "packet in as many.",
     .range = {10, 10 * minute}},
    {.name = "pending_handshakes",
     .field = bind<&cluster_config::limits, &limits_config::pending_handshakes>(),
     .what = "How many connections may be in their handshake at a time. The oldest makes room for "
             "the next.",
     .why = "All nodes of a large cluster may come at once; strangers hold no more than 64.",
     .unit = "connections",
     .range = {1, 10'000}},
    {.name = "remote_addresses",
     .field = bind<&cluster_config::limits, &limits_config::remote_addresses>(),
     .what = "How many actors of one peer a node may know at a time, and the peer of the node's.",
     .why = "Far beyond what one node talks to; bounds what a peer can make it remember.",
     .unit = "addresses",
     .range = {16, 16'777'216}},
    {.name = "pending_asks",
     .field = bind<&cluster_config::limits, &limits_config::pending_asks>(),
     .what = "How many asks to one peer may be unanswered at a time. One more is answered "
             "`limit`.",
     .why = "A second's worth for a peer that answers 100,000 a second.",
     .unit = "asks",
     .range = {1, 10'000'000}},
    {.name = "busy_wait_us",
     .field = bind<&cluster_config::limits, &limits_config::busy_wait_us>(),
     .what = "How long the thread that reads from peers looks for the next bytes before it sleeps, "
             "if the last ones came as quickly. 0: it sleeps at once.",
     .why = "A peer on the same machine or the next one answers within it, and an answer that is "
            "awaited awake takes a third of the time. A wait in vain costs so much of a core once; "
            "whatever else has work on that core goes first.",
     .unit = "microseconds",
     .range = {0, 10'000}},
};

// ---- [liveness] ---------------------------------------------------------------------------------

constexpr key liveness_keys[] = {
    {.name = "heartbeat_ms",
     .field = bind<&cluster_config::liveness, &liveness_config::heartbeat>(),
     .what = "How often a node tells each peer that it is alive when it has nothing else to say.",
     .why = "Five small frames a second and peer cost nothing, and the times below are a few of "
            "these.",
     .range = {10, minute},
     .loopback = 100,
     .agreed = true},
    {.name = "suspect_after_ms",
     .field = bind<&cluster_config::liveness, &liveness_config::suspect_after>(),
     .what = "After how long a silence a peer is suspected, and other nodes are asked whether they "
             "hear it. At least three heartbeats.",
     .why = "Four heartbeats in a row must be missing, so that a packet that had to be sent again "
            "is no news.",
     .range = {30, hour},
     .loopback = 300,
     .agreed = true},
    {.name = "unreachable_after_ms",
     .field = bind<&cluster_config::liveness, &liveness_config::unreachable_after>(),
     .what = "After how long a silence a peer that nobody hears is unreachable, and what waits for "
             "it is told so. At least two heartbeats more than suspect_after_ms.",
     .why = "Outlasts a switch that restarts and a process that swaps; a process that has died is "
            "noticed at once all the same.",
     .range = {50, day},
     .loopback = 600,
     .agreed = true},
    {.name = "phi_threshold",
     .field = bind<&cluster_config::liveness, &liveness_config::phi_threshold>(),
     .what = "How unlikely a silence must be, by what the connection was like lately, before the "
             "peer is suspected: 8 is once in a hundred million. It only delays the suspicion, and "
             "only on uneven connections.",
     .why = "The value that others who use phi-accrual detectors have settled on.",
     .range = {1, 16},
     .agreed = true},
    {.name = "indirect_probes",
     .field = bind<&cluster_config::liveness, &liveness_config::indirect_probes>(),
     .what = "How many other nodes at a time are asked whether they hear a suspected peer. 0: "
             "nobody is.",
     .why = "With three, one behind the same broken cable and one that has just died leave one to "
            "tell.",
     .unit = "nodes",
     .range = {0, 16}},
    {.name = "indirect_most_ms",
     .field = bind<&cluster_config::liveness, &liveness_config::indirect_most>(),
     .what = "After how long a silence a peer is unreachable although other nodes hear it. At "
             "least unreachable_after_ms.",
     .why = "A peer that cannot be talked to is of no use, whoever else hears it; three times "
            "unreachable_after_ms leaves a connection time to come back.",
     .range = {50, day},
     .loopback = 1'800},
    {.name = "memory_keeper",
     .field = bind<&cluster_config::liveness, &liveness_config::memory_keeper>(),
     .what = "True: beside each node there is a process that shares its memory and sleeps, "
             "\"coppice-memory\" by name. When the node is killed the system then closes its "
             "connections first and frees its memory after that.",
     .why = "The system frees a killed process's memory before it closes its files, a second for "
            "some 14 GiB, and so long its peers wait for an answer. It takes one number of a "
            "process and no memory; where the system does not allow it a node does without."},
};

// ---- [log] --------------------------------------------------------------------------------------

constexpr std::string_view severity_words[] = {"trace", "debug", "info", "warning", "error", "off"};
constexpr std::string_view log_format_words[] = {"text", "json"};

constexpr key log_keys[] = {
    {.name = "level",
     .field = bind<&cluster_config::log, &log_config::level>(),
     .what = "The least severe records that are written.",
     .why = "Shows what went wrong and what was done about it; starts of children are \"debug\".",
     .words = severity_words},
    {.name = "file",
     .field = bind<&cluster_config::log, &log_config::file>(),
     .what = "Where records are written. It is rotated at 10 MiB, and three old ones are kept.",
     .why = "By default that is standard error, which `coppice up` and systemd collect.",
     .range = text_length,
     .looks = &file_path_per_node,
     .example = "\"log/{node}.log\""},
    {.name = "format",
     .field = bind<&cluster_config::log, &log_config::format>(),
     .what = "How a record is written: \"text\" for people, \"json\" for programs, one object a "
             "line.",
     .why = "People read it first.",
     .words = log_format_words},
    {.name = "records_per_second",
     .field = bind<&cluster_config::log, &log_config::records_per_second>(),
     .what = "How many records of one kind are written in a second. What is left out is counted, "
             "and told with the next one.",
     .why = "A storm of crashes must not become a storm of logs.",
     .unit = "records",
     .range = {1, 1'000'000}},
};

// ---- [http] -------------------------------------------------------------------------------------

constexpr key http_keys[] = {
    {.name = "connections",
     .field = bind<&cluster_config::http, &http_config::connections>(),
     .what = "How many connections a node serves at a time. One more takes the place of the one "
             "that has been idle for longest, or is refused if none is.",
     .why = "Scrapers, probes and a few people; no web site.",
     .unit = "connections",
     .range = {1, 10'000}},
    {.name = "body_bytes",
     .field = bind<&cluster_config::http, &http_config::body_bytes>(),
     .what = "The largest body of a request.",
     .why = "All requests there are take less than one kibibyte.",
     .unit = "bytes",
     .range = {KiB, 16 * MiB}},
    {.name = "request_deadline_ms",
     .field = bind<&cluster_config::http, &http_config::request_deadline>(),
     .what = "How long a caller may take from a request's first byte to its last.",
     .why = "A slow network needs less, and a caller that drips gets no more.",
     .range = {100, 10 * minute}},
    {.name = "idle_ms",
     .field = bind<&cluster_config::http, &http_config::idle>(),
     .what = "How long a connection may be idle between two requests.",
     .why = "Longer than scrapers usually pause, so that they need not connect anew.",
     .range = {100, hour}},
};

// ---- [[allow]] ----------------------------------------------------------------------------------

constexpr key allow_keys[] = {
    {.name = "roles",
     .field = bind<&cluster_config::allow, &allow_rule::roles>(),
     .what = "Nodes with one of these roles are meant.",
     .why = "It has no default: a rule for everybody should name everybody.",
     .range = {1, 64},
     .looks = &label,
     .example = "[\"intake\"]",
     .required = true,
     .agreed = true},
    {.name = "paths",
     .field = bind<&cluster_config::allow, &allow_rule::paths>(),
     .what = "Actors whose path matches one of these may be addressed.",
     .why = "It has no default: that is what a rule is about.",
     .range = {1, 64},
     .looks = &path_pattern,
     .example = "[\"/orders/stock/**\"]",
     .required = true,
     .agreed = true},
    {.name = "events",
     .field = bind<&cluster_config::allow, &allow_rule::events>(),
     .what = "Events whose name matches one of these may be sent to them.",
     .why = "An actor refuses what it does not accept in any case.",
     .range = {1, 64},
     .looks = &event_pattern,
     .example = "[\"shop.*\"]",
     .agreed = true},
};

// ---- all of them --------------------------------------------------------------------------------

constexpr section all_sections[] = {
    {.name = "cluster", .required = true, .what = "The cluster as a whole.", .keys = cluster_keys},
    {.name = "tls",
     .what = "How nodes prove to each other who they are: by TLS 1.3 with a certificate on both "
             "sides. Either ca, certificate and key are given, or insecure = true.",
     .keys = tls_keys},
    {.name = "node",
     .repeated = true,
     .required = true,
     .entries = {1, 256},
     .what = "One for each node. Every node is connected with every other one, which bounds them.",
     .keys = node_keys,
     .count = [](const cluster_config& config) { return config.nodes.size(); },
     .append = [](cluster_config& config) { config.nodes.emplace_back(); }},
    {.name = "limits",
     .what = "Bounds of what passes between two nodes, each for every peer.",
     .keys = limits_keys},
    {.name = "liveness",
     .what = "When a node takes a silent peer for suspect, and for unreachable. Every byte counts "
             "as a sign of life.",
     .keys = liveness_keys},
    {.name = "log", .what = "What each node writes about itself.", .keys = log_keys},
    {.name = "http",
     .what = "Bounds of each node's HTTP server; where it listens is said at the node.",
     .keys = http_keys},
    {.name = "allow",
     .repeated = true,
     .entries = {0, 1'000},
     .what = "Who may send what to whom: one rule each, and what no rule allows is answered "
             "`denied`. Without any rule all nodes may send everything to everybody, the runtime's "
             "own actors excepted.",
     .keys = allow_keys,
     .count = [](const cluster_config& config) { return config.allow.size(); },
     .append = [](cluster_config& config) { config.allow.emplace_back(); }},
};

}  // namespace

std::span<const section> sections() { return all_sections; }

const section* find_section(std::string_view name) {
  const auto found = std::find_if(std::begin(all_sections), std::end(all_sections),
                                  [name](const section& s) { return s.name == name; });
  return found == std::end(all_sections) ? nullptr : found;
}

const key* find_key(const section& in, std::string_view name) {
  const auto found =
      std::find_if(in.keys.begin(), in.keys.end(), [name](const key& k) { return k.name == name; });
  return found == in.keys.end() ? nullptr : &*found;
}

const key& key_at(std::string_view path) {
  const std::size_t dot = std::min(path.find('.'), path.size());
  const section* in = find_section(path.substr(0, dot));
  const key* found = in && dot < path.size() ? find_key(*in, path.substr(dot + 1)) : nullptr;
  require(found != nullptr, "a key is asked for that is in no table of the config");
  return *found;
}

cluster_config defaults(cluster_profile profile) {
  cluster_config out;
  if (profile == cluster_profile::loopback)
    for (const section& s : all_sections)
      for (const key& k : s.keys)
        if (k.loopback && !s.repeated) k.field.set(out, 0, *k.loopback);
  out.cluster.profile = profile;
  return out;
}

std::string header_of(const section& of) {
  return (of.repeated ? "[[" : "[") + std::string{of.name} + (of.repeated ? "]]" : "]");
}

std::string_view unit_of(const key& of) {
  return of.field.duration ? std::string_view{"milliseconds"} : of.unit;
}

value default_of(const section& in, const key& of, cluster_profile profile) {
  cluster_config config = defaults(profile);
  if (in.repeated) in.append(config);
  return of.field.get(config, 0);
}

bool is_none(const value& of) {
  if (const auto* text = std::get_if<std::string>(&of)) return text->empty();
  if (const auto* texts = std::get_if<std::vector<std::string>>(&of)) return texts->empty();
  return false;
}

}  // namespace coppice::detail
