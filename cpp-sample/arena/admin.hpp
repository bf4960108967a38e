// The administrators' door: commands in lines, and the metrics for a browser or Prometheus.
//
// It has a queue of its own (1), and a thread that polls it: what an administrator asks for never
// waits for a tick, nor a tick for him. All calls here are made beside the game's thread.
#pragma once

#include <string>
#include <thread>

#include "sockeye.hpp"

namespace arena {

class Admin {
public:
    static constexpr uint32_t kQueue = 1;

    // `rules`: the file for the guard, or empty.
    Admin(sockeye::net_ref net, sockeye::group everybody, std::string rules);
    ~Admin() { join(); }

    // Opens the door, or ends the program with the reason. Answers its port.
    uint32_t listen(const std::string &url);
    // Waits for the thread, which ends when the net is shut down.
    void join();
    // What came and left here, once it is joined.
    uint64_t bytes_in() const { return bytes_in_; }
    uint64_t bytes_out() const { return bytes_out_; }

private:
    void run();
    void line(sockeye::message got);
    void closed(sockeye::closed gone);
    std::string ban(const std::string &words) const;
    std::string say(const std::string &words) const;
    void metrics(sockeye::conn to) const;

    const sockeye::net_ref net_;
    const sockeye::group everybody_;
    const std::string rules_;
    sockeye::listener door_;
    std::thread thread_;
    uint64_t bytes_in_ = 0, bytes_out_ = 0;
};

} // namespace arena
