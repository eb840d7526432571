// SPDX-License-Identifier: Apache-2.0
#include "memory_node/metrics.hpp"

#include <array>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <httplib.h>

namespace catena::memory_node {

std::string metrics_text(verbs::memory_server_counters const& c, metrics_facts const& f) {
    std::string text;
    auto const metric = [&text](std::string_view name, std::string_view kind, std::string_view help,
                                std::uint64_t value) {
        text += fmt::format("# HELP catena_memd_{0} {1}\n# TYPE catena_memd_{0} {2}\ncatena_memd_{0} {3}\n", name, help,
                            kind, value);
    };
    metric("region_bytes", "gauge", "Memory given to clients.", f.region_bytes);
    metric("region_huge_pages", "gauge", "1 if that lies in huge pages.", f.huge_pages ? 1 : 0);
    metric("region_taken_bytes", "gauge", "Handed out to clients in chunks since the pool was created.", f.bytes_taken);
    metric("pool", "gauge", "1 if there is a pool on it.", f.has_pool ? 1 : 0);
    metric("connections", "gauge", "Queue pairs of clients.", c.connections);
    metric("connections_read_only", "gauge", "Those that may only read.", c.read_only);
    metric("connections_accepted_total", "counter", "Connections accepted.", c.accepted);
    metric("connections_ended_total", "counter", "Connections that ended.", c.ended);
    metric("hellos_total", "counter", "Clients that asked what this memory node is.", c.hellos);
    metric("fences_total", "counter", "Requests to shut a client out.", c.fences);
    metric("queue_pairs_torn_down_total", "counter", "Queue pairs destroyed by those.", c.queue_pairs_torn_down);
    text += "# HELP catena_memd_refused_total Requests refused.\n# TYPE catena_memd_refused_total counter\n";
    std::array<std::pair<std::string_view, std::uint64_t>, 6> const refused{{{"secret", c.refused_secret},
                                                                             {"version", c.refused_version},
                                                                             {"fenced", c.refused_fenced},
                                                                             {"full", c.refused_full},
                                                                             {"restarted", c.refused_restarted},
                                                                             {"other", c.refused_other}}};
    for (auto const& [why, n] : refused) text += fmt::format("catena_memd_refused_total{{reason=\"{}\"}} {}\n", why, n);
    return text;
}

class metrics_server::implementation {
public:
    explicit implementation(std::uint16_t port) {
        http_.new_task_queue = [] { return new httplib::ThreadPool(1); }; // NOLINT: the library deletes it
        // Without SO_REUSEPORT, which is the library's default: with it a port that another server has would be shared.
        http_.set_socket_options([](socket_t s) {
            int const yes = 1;
            ::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        });
        http_.Get("/metrics", [this](httplib::Request const&, httplib::Response& answer) {
            std::lock_guard const lock(mutex_);
            answer.set_content(text_, "text/plain; version=0.0.4");
        });
        if (http_.bind_to_port("127.0.0.1", port)) thread_ = std::thread([this] { http_.listen_after_bind(); });
    }
    implementation(implementation const&) = delete;
    implementation& operator=(implementation const&) = delete;
    ~implementation() {
        http_.stop();
        if (thread_.joinable()) thread_.join();
    }

    [[nodiscard]] bool listens() const noexcept { return thread_.joinable(); }
    void tell(std::string text) {
        std::lock_guard const lock(mutex_);
        text_ = std::move(text);
    }

private:
    std::mutex mutex_;
    std::string text_;
    httplib::Server http_;
    std::thread thread_;
};

setup_result<metrics_server> metrics_server::start(std::uint16_t port) {
    auto made = std::make_unique<implementation>(port);
    if (!made->listens())
        return setup_error(errc::already_exists,
                           fmt::format("--metrics={0}: cannot listen on 127.0.0.1:{0}: another process does", port));
    return metrics_server(std::move(made));
}

metrics_server::metrics_server(std::unique_ptr<implementation> impl) noexcept : impl_(std::move(impl)) {}
metrics_server::metrics_server(metrics_server&&) noexcept = default;
metrics_server::~metrics_server() = default;
void metrics_server::update(verbs::memory_server_counters const& counters, metrics_facts const& facts) {
    impl_->tell(metrics_text(counters, facts));
}

} // namespace catena::memory_node
