#pragma once

// A net that a game's thread pumps with a budget, and the connections that it knows. Like
// SockeyeWords.h it needs no engine: C++17 without exceptions and RTTI, and of the engine two
// macros where they are.
//
// Of the library only sockeye.h is used: the classes of sockeye.hpp call it even to destroy what is
// empty, and a library that is loaded late may be gone by then, or never have come.

#ifdef THIRD_PARTY_INCLUDES_START
THIRD_PARTY_INCLUDES_START
#endif
#include "sockeye.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>
#ifdef THIRD_PARTY_INCLUDES_END
THIRD_PARTY_INCLUDES_END
#endif

/// What one tick may take. 0 is no limit.
struct FSockeyeBudget
{
	uint32_t Events = 1024;
	/// Looked at behind each event: a tick is over by what its last event took.
	uint32_t Microseconds = 2000;
};

/// What one tick did.
struct FSockeyeTicked
{
	/// Events given to the handler.
	uint32_t Events = 0;
	/// The budget ended it: there may be more.
	bool bMore = false;
	/// Negative: the net has ended by a fault of its own, and all is told.
	sockeye_status Status = SOCKEYE_OK;
};

/// A net and what is known of it. One thread at a time, the game's, calls any of this; only the
/// log's function is called on others. Handlers may call it all; a tick inside of a tick is none.
class FSockeyePump
{
public:
	/// Microseconds of a clock that never goes back.
	using FClock = uint64_t (*)();

	explicit FSockeyePump(FClock InClock = &SteadyClock) : Clock(InClock) {}
	FSockeyePump(const FSockeyePump&) = delete;
	FSockeyePump& operator=(const FSockeyePump&) = delete;
	~FSockeyePump() { ShutDown(0, [](const sockeye_event&) {}); }

	/// Makes the net. `Log` may be null; it is called on any thread until the net has ended.
	sockeye_status Open(const sockeye_config& Config, sockeye_log_fn Log)
	{
		if (Net)
		{
			return bEnding ? SOCKEYE_ERR_SHUTDOWN : SOCKEYE_OK;
		}
		const sockeye_status Done = sockeye_init(&Config, &Net);
		if (Done >= 0 && Log)
		{
			(void)sockeye_set_log(Net, Log, nullptr, SOCKEYE_LOG_INFO);
		}
		return Done;
	}

	/// Whether there is a net, which is not about to end.
	bool IsOpen() const { return Net != nullptr && !bEnding; }
	/// Whether a handler runs now.
	bool IsDelivering() const { return bDelivering; }
	/// Connections that were opened or connect, and whose end was not told.
	uint32_t GetConnectionCount() const { return Count; }
	/// For questions that change nothing.
	sockeye_net* GetNet() const { return Net; }

	/// `Endpoint` may be null for the defaults; what the URL says has precedence.
	sockeye_status Listen(
		const char* Url, sockeye_listener& Out, const sockeye_endpoint* Endpoint = nullptr)
	{
		if (!Net)
		{
			return SOCKEYE_ERR_SHUTDOWN;
		}
		const sockeye_status Done = sockeye_listen(Net, Url, Endpoint, &Out);
		if (Done >= 0)
		{
			Listeners.push_back(Out.id);
		}
		return Done;
	}

	sockeye_status Connect(
		const char* Url, sockeye_conn& Out, const sockeye_endpoint* Endpoint = nullptr)
	{
		if (!Net)
		{
			return SOCKEYE_ERR_SHUTDOWN;
		}
		const sockeye_status Done = sockeye_connect(Net, Url, Endpoint, &Out);
		if (Done >= 0)
		{
			Remember(Out);
		}
		return Done;
	}

	[[nodiscard]] sockeye_status Send(sockeye_conn Connection, const uint8_t* Data, size_t Size)
	{
		return Net ? sockeye_send(Net, Connection, Data, Size) : SOCKEYE_ERR_SHUTDOWN;
	}

	[[nodiscard]] sockeye_status SendMany(
		const sockeye_conn* To, size_t ToCount, const uint8_t* Data, size_t Size)
	{
		return Net ? sockeye_send_many(Net, To, ToCount, Data, Size, nullptr) : SOCKEYE_ERR_SHUTDOWN;
	}

	[[nodiscard]] sockeye_status SendTo(
		sockeye_listener Listener, const sockeye_address& To, const uint8_t* Data, size_t Size)
	{
		return Net ? sockeye_send_to(Net, Listener, &To, Data, Size) : SOCKEYE_ERR_SHUTDOWN;
	}

	/// Afterwards the handler gets its end and nothing else of it, also where that is refused with
	/// ERR_CLOSED because the peer had ended it.
	sockeye_status Close(sockeye_conn Connection, uint32_t How)
	{
		if (!Net)
		{
			return SOCKEYE_ERR_SHUTDOWN;
		}
		const sockeye_status Done = sockeye_close(Net, Connection, How);
		if (FEntry* Entry = Find(Connection))
		{
			Entry->bClosing = Entry->bClosing || Done >= 0 || Done == SOCKEYE_ERR_CLOSED;
		}
		return Done;
	}

	sockeye_status CloseListener(sockeye_listener Listener)
	{
		return Net ? sockeye_listener_close(Net, Listener) : SOCKEYE_ERR_SHUTDOWN;
	}

	/// Lets leave what was sent. A tick does it too, before it takes events and behind them.
	void Flush()
	{
		if (Net)
		{
			(void)sockeye_flush(Net);
		}
	}

	/// Gives events to `Handler(const sockeye_event&)`, in their order, until there are none or the
	/// budget is used up; what is left comes with the next tick. An event is borrowed until the
	/// handler returns.
	template <class THandler>
	FSockeyeTicked Tick(const FSockeyeBudget& Budget, THandler&& Handler)
	{
		FSockeyeTicked Ticked;
		if (!Net || bDelivering)
		{
			return Ticked;
		}
		bDelivering = true;
		const uint64_t Start = Clock();
		while (!bEnding && !Ticked.bMore && Fill(Ticked.Status))
		{
			const sockeye_event& Event = Room[At++];
			if (Admit(Event))
			{
				Handler(Event);
				Ticked.Events++;
			}
			Ticked.bMore = (Budget.Events != 0 && Ticked.Events >= Budget.Events) ||
				(Budget.Microseconds != 0 && Clock() - Start >= Budget.Microseconds);
		}
		bDelivering = false;
		if (bEnding || Ticked.Status < 0)
		{
			ShutDown(DrainMs, Handler);
		}
		else
		{
			Flush();
		}
		return Ticked;
	}

	/// Ends the net: what was sent gets so many milliseconds to leave. The handler is told the end of
	/// each connection and listener that it knows, and no more. From inside a handler: as soon as
	/// that returns. Afterwards nothing of the library is called any more.
	template <class THandler>
	void ShutDown(int32_t InDrainMs, THandler&& Handler)
	{
		if (!Net)
		{
			return;
		}
		DrainMs = InDrainMs;
		bEnding = true;
		if (bDelivering)
		{
			return;
		}
		bDelivering = true;
		(void)sockeye_shutdown(Net, DrainMs);
		for (sockeye_status Status = SOCKEYE_OK; Fill(Status);)
		{
			const sockeye_event& Event = Room[At++];
			const bool bIsEnd = Event.kind == SOCKEYE_EVENT_CLOSED ||
				Event.kind == SOCKEYE_EVENT_LISTENER_CLOSED;
			if (bIsEnd && Admit(Event))
			{
				Handler(Event);
			}
		}
		// From here on the log's function is not called, nor is it running.
		(void)sockeye_set_log(Net, nullptr, nullptr, SOCKEYE_LOG_NONE);
		(void)sockeye_free(Net);
		Net = nullptr;
		At = End = 0;
		Count = 0;
		Known.clear();
		Listeners.clear();
		bDelivering = bEnding = false;
	}

	static uint64_t SteadyClock()
	{
		const auto Now = std::chrono::steady_clock::now().time_since_epoch();
		const auto Whole = std::chrono::duration_cast<std::chrono::microseconds>(Now);
		return static_cast<uint64_t>(Whole.count());
	}

private:
	/// Small enough that a slow tick does not hold much, large enough that polls cost nothing.
	static constexpr int32_t RoomSize = 256;

	struct FEntry
	{
		uint64_t Id = 0;
		bool bClosing = false;
	};

	/// Whether there is an event at `At`: of the batch, or of the next one.
	bool Fill(sockeye_status& Status)
	{
		if (At < End)
		{
			return true;
		}
		At = End = 0;
		const int32_t Got = sockeye_poll_events(Net, Room, RoomSize, 0);
		if (Got < 0)
		{
			Status = Got;
			return false;
		}
		End = Got;
		return Got > 0;
	}

	/// Whether the handler is to be told; keeps the books. Of a connection that was closed, what lies
	/// in the batch already is passed over.
	bool Admit(const sockeye_event& Event)
	{
		switch (Event.kind)
		{
		case SOCKEYE_EVENT_OPENED:
			if (Event.listener.id != 0)
			{
				Remember(Event.conn);
			}
			return IsLive(Event.conn);
		case SOCKEYE_EVENT_CLOSED: return Forget(Event.conn);
		case SOCKEYE_EVENT_LISTENER_CLOSED: return ForgetListener(Event.listener);
		case SOCKEYE_EVENT_MESSAGE:
		case SOCKEYE_EVENT_BYTES: return IsLive(Event.conn);
		case SOCKEYE_EVENT_DATAGRAM:
		case SOCKEYE_EVENT_WRITABLE: return Event.conn.id == 0 || IsLive(Event.conn);
		default: return false;
		}
	}

	FEntry* Find(sockeye_conn Connection)
	{
		const uint32_t Index = sockeye_conn_index(Connection);
		const bool bIsKnown = Connection.id != 0 && Index < Known.size();
		return bIsKnown && Known[Index].Id == Connection.id ? &Known[Index] : nullptr;
	}

	bool IsLive(sockeye_conn Connection)
	{
		const FEntry* Entry = Find(Connection);
		return Entry && !Entry->bClosing;
	}

	void Remember(sockeye_conn Connection)
	{
		const uint32_t Index = sockeye_conn_index(Connection);
		if (Index >= Known.size())
		{
			Known.resize(Index + 1);
		}
		Known[Index].Id = Connection.id;
		Known[Index].bClosing = false;
		Count++;
	}

	bool Forget(sockeye_conn Connection)
	{
		FEntry* Entry = Find(Connection);
		if (!Entry)
		{
			return false;
		}
		*Entry = FEntry();
		Count--;
		return true;
	}

	bool ForgetListener(sockeye_listener Listener)
	{
		const auto Found = std::find(Listeners.begin(), Listeners.end(), Listener.id);
		if (Found == Listeners.end())
		{
			return false;
		}
		Listeners.erase(Found);
		return true;
	}

	FClock Clock;
	sockeye_net* Net = nullptr;
	sockeye_event Room[RoomSize];
	/// Of the batch: the next event to tell, and the end.
	int32_t At = 0, End = 0;
	/// By `sockeye_conn_index`.
	std::vector<FEntry> Known;
	uint32_t Count = 0;
	std::vector<uint64_t> Listeners;
	int32_t DrainMs = 0;
	bool bDelivering = false;
	/// To be shut down when the handler returns.
	bool bEnding = false;
};

/// The pumps that there are, to be ended before the library goes.
class FSockeyePumps
{
public:
	void Add(FSockeyePump* Pump)
	{
		Remove(Pump);
		All.push_back(Pump);
	}
	void Remove(FSockeyePump* Pump)
	{
		All.erase(std::remove(All.begin(), All.end(), Pump), All.end());
	}
	/// Nothing is told: whoever would hear it may be gone.
	void ShutDown()
	{
		for (FSockeyePump* Pump : std::exchange(All, {}))
		{
			Pump->ShutDown(0, [](const sockeye_event&) {});
		}
	}
	size_t Num() const { return All.size(); }

private:
	std::vector<FSockeyePump*> All;
};
