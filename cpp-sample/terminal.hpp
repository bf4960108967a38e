// A client's terminal beside its net: one wait for both, by the net's wait handle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#ifdef _WIN32
#include <memory>
#include <mutex>
#include <thread>

#include <windows.h>
#else
#include <poll.h>
#include <unistd.h>
#endif

constexpr int kGlanceMs = 250; // nobody waits longer: a signal does not end a wait

#ifdef _WIN32

// A console, a pipe and a file are not waited for alike on Windows: a thread reads what is typed,
// and an event object says that there is some.
class Terminal {
public:
    explicit Terminal(intptr_t net) : net_(reinterpret_cast<HANDLE>(net))
    {
        // Not joined: it sits in a read until the program ends.
        std::thread([typed = typed_] { typed->read_all(); }).detach();
    }
    // Waits for the net or for something typed. True: something was typed, or it has ended.
    bool wait()
    {
        const HANDLE both[2] = {typed_->event, net_};
        return WaitForMultipleObjects(2, both, FALSE, kGlanceMs) == WAIT_OBJECT_0;
    }
    void wait_for_net() { WaitForSingleObject(net_, kGlanceMs); }
    // Appends what was typed. False: it has ended.
    bool read(std::string &text)
    {
        const std::lock_guard<std::mutex> guard(typed_->lock);
        const bool more = !typed_->text.empty() || !typed_->ended;
        text += typed_->text;
        typed_->text.clear();
        if (!typed_->ended) ResetEvent(typed_->event);
        return more;
    }

private:
    struct Typed {
        std::mutex lock;
        std::string text;
        bool ended = false;
        HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);

        void read_all()
        {
            char chunk[512];
            DWORD got = 1;
            while (got > 0) {
                const HANDLE input = GetStdHandle(STD_INPUT_HANDLE);
                if (!ReadFile(input, chunk, sizeof chunk, &got, nullptr)) got = 0;
                const std::lock_guard<std::mutex> guard(lock);
                text.append(chunk, got);
                ended = got == 0;
                SetEvent(event);
            }
        }
    };
    HANDLE net_;
    std::shared_ptr<Typed> typed_ = std::make_shared<Typed>();
};

#else

class Terminal {
public:
    explicit Terminal(intptr_t net) : waits_{{STDIN_FILENO, POLLIN, 0}, {}}
    {
        waits_[1] = {static_cast<int>(net), POLLIN, 0};
    }
    // Waits for the net or for something typed. True: something was typed, or it has ended.
    bool wait() { return poll(waits_, 2, kGlanceMs) > 0 && waits_[0].revents != 0; }
    void wait_for_net() { poll(waits_ + 1, 1, kGlanceMs); }
    // Appends what was typed. False: it has ended.
    bool read(std::string &text)
    {
        char chunk[512];
        const ssize_t got = ::read(STDIN_FILENO, chunk, sizeof chunk);
        if (got > 0) text.append(chunk, static_cast<size_t>(got));
        return got > 0;
    }

private:
    pollfd waits_[2];
};

#endif
