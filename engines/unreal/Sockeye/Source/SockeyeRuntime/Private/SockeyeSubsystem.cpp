#include "SockeyeSubsystem.h"

#include "SockeyeConvert.h"
#include "SockeyeLog.h"
#include "SockeyeModule.h"
#include "SockeyePump.h"
#include "SockeyeWords.h"

/** Events of the library to delegates. */
struct FSockeyeDispatch
{
	USockeyeSubsystem& To;

	void operator()(const sockeye_event& Event) const
	{
		switch (Event.kind)
		{
		case SOCKEYE_EVENT_OPENED:
			To.OnOpened.Broadcast(FromLibrary(Event.conn), FromLibrary(Event.listener));
			break;
		case SOCKEYE_EVENT_MESSAGE: Message(Event); break;
		case SOCKEYE_EVENT_BYTES: Bytes(Event); break;
		case SOCKEYE_EVENT_DATAGRAM: Datagram(Event); break;
		case SOCKEYE_EVENT_WRITABLE:
			if (Event.conn.id != 0)
			{
				To.OnWritable.Broadcast(FromLibrary(Event.conn));
			}
			break;
		case SOCKEYE_EVENT_CLOSED:
			To.OnClosed.Broadcast(
				FromLibrary(Event.conn), SockeyeCauseOf(Event), Reason(Event));
			break;
		case SOCKEYE_EVENT_LISTENER_CLOSED:
			To.OnListenerClosed.Broadcast(
				FromLibrary(Event.listener), SockeyeCauseOf(Event), Reason(Event));
			break;
		default: break;
		}
	}

private:
	void Message(const sockeye_event& Event) const
	{
		const TConstArrayView<uint8> Bytes(Event.data, static_cast<int32>(Event.data_len));
		To.OnMessageNative.Broadcast(FromLibrary(Event.conn), Bytes);
		if (To.OnMessage.IsBound())
		{
			To.OnMessage.Broadcast(FromLibrary(Event.conn), Copy(Event));
		}
	}

	void Bytes(const sockeye_event& Event) const
	{
		const TConstArrayView<uint8> View(Event.data, static_cast<int32>(Event.data_len));
		To.OnBytesNative.Broadcast(FromLibrary(Event.conn), View);
		if (To.OnBytes.IsBound())
		{
			To.OnBytes.Broadcast(FromLibrary(Event.conn), Copy(Event));
		}
	}

	void Datagram(const sockeye_event& Event) const
	{
		if (Event.listener.id == 0)
		{
			Message(Event);
		}
		else if (To.OnDatagram.IsBound())
		{
			const FString Sender = ToText(sockeye_event_address(&Event));
			To.OnDatagram.Broadcast(FromLibrary(Event.listener), Sender, Copy(Event));
		}
	}

	const TArray<uint8>& Copy(const sockeye_event& Event) const
	{
		To.Scratch.Reset();
		To.Scratch.Append(Event.data, static_cast<int32>(Event.data_len));
		return To.Scratch;
	}

	static FString Reason(const sockeye_event& Event)
	{
		return UTF8_TO_TCHAR(sockeye_cause_text(Event.cause));
	}
};

void USockeyeSubsystem::Initialize(FSubsystemCollectionBase& Collection)
{
	Super::Initialize(Collection);
	Pump = MakeShared<FSockeyePump>();
	bIsUp = true;
}

void USockeyeSubsystem::Deinitialize()
{
	bIsUp = false;
	if (Pump.IsValid())
	{
		// From inside a handler the net ends, and the ticker goes, when that returns.
		Pump->ShutDown(DrainMilliseconds, FSockeyeDispatch{*this});
		if (!Pump->IsDelivering())
		{
			FTSTicker::RemoveTicker(Ticker);
			Withdraw();
		}
	}
	Super::Deinitialize();
}

bool USockeyeSubsystem::EnsureOpen(FString& OutError)
{
	check(IsInGameThread());
	FSockeyeModule* Module = FSockeyeModule::Get();
	if (!bIsUp || !Module)
	{
		OutError = TEXT("Sockeye is not there: the game instance has ended");
		return false;
	}
	if (!Module->IsReady())
	{
		OutError = Module->GetProblem();
		return false;
	}
	if (Pump->IsOpen())
	{
		return true;
	}
	sockeye_config Config;
	(void)sockeye_config_init(&Config, sizeof Config);
	// The library's threads do the input and output; the game's touches queues, for as long as the
	// budget says. What is sent in one frame leaves at its end, gathered.
	Config.drive = SOCKEYE_DRIVE_POOL;
	Config.flush = SOCKEYE_FLUSH_MANUAL;
	if (MaxConnections > 0)
	{
		Config.connections_max = static_cast<uint32_t>(MaxConnections);
	}
	sockeye_status Done = SOCKEYE_OK;
	if (Model != TEXT("auto"))
	{
		Done = sockeye_model_from_name(TCHAR_TO_UTF8(*Model), &Config.model);
	}
	if (Done >= 0)
	{
		Done = Pump->Open(Config, &SockeyeLogLine);
	}
	if (Done < 0)
	{
		const std::string Why = SockeyeRefusal("make a net of model", TCHAR_TO_UTF8(*Model), Done);
		OutError = UTF8_TO_TCHAR(Why.c_str());
		return false;
	}
	Module->Pumps.Add(Pump.Get());
	if (!Ticker.IsValid())
	{
		Ticker = FTSTicker::GetCoreTicker().AddTicker(
			FTickerDelegate::CreateUObject(this, &USockeyeSubsystem::HandleTicker));
	}
	return true;
}

bool USockeyeSubsystem::HandleTicker(float)
{
	if (bPumpEachFrame)
	{
		(void)Tell(MaxEventsPerTick, MaxMicrosecondsPerTick);
	}
	if (Pump->IsOpen())
	{
		return true;
	}
	Withdraw();
	return false;
}

int32 USockeyeSubsystem::PumpEvents(int32 MaxEvents, int32 MaxMicroseconds)
{
	check(IsInGameThread());
	if (!Pump.IsValid())
	{
		return 0;
	}
	const int32 Told = Tell(MaxEvents, MaxMicroseconds);
	if (!Pump->IsOpen() && !Pump->IsDelivering())
	{
		// A handler has ended the game instance: no frame may come behind that.
		FTSTicker::RemoveTicker(Ticker);
		Withdraw();
	}
	return Told;
}

int32 USockeyeSubsystem::Tell(int32 MaxEvents, int32 MaxMicroseconds)
{
	FSockeyeBudget Budget;
	Budget.Events = ToLimit(MaxEvents);
	Budget.Microseconds = ToLimit(MaxMicroseconds);
	const FSockeyeTicked Done = Pump->Tick(Budget, FSockeyeDispatch{*this});
	if (Done.Status < 0)
	{
		UE_LOG(LogSockeye, Error, TEXT("the net has ended: %s"),
			UTF8_TO_TCHAR(sockeye_status_text(Done.Status)));
	}
	return static_cast<int32>(Done.Events);
}

void USockeyeSubsystem::Withdraw()
{
	Ticker.Reset();
	if (FSockeyeModule* Module = FSockeyeModule::Get())
	{
		Module->Pumps.Remove(Pump.Get());
	}
}

bool USockeyeSubsystem::Listen(const FString& Url, FSockeyeListener& OutListener, FString& OutError)
{
	return ListenWith(Url, FSockeyeOptions(), OutListener, OutError);
}

bool USockeyeSubsystem::ListenWith(const FString& Url, const FSockeyeOptions& Options,
	FSockeyeListener& OutListener, FString& OutError)
{
	OutListener = FSockeyeListener();
	if (!EnsureOpen(OutError))
	{
		return false;
	}
	sockeye_listener Made;
	const sockeye_endpoint Endpoint = SockeyeEndpointOf(Options);
	const sockeye_status Done = Pump->Listen(TCHAR_TO_UTF8(*Url), Made, &Endpoint);
	if (Done < 0)
	{
		const std::string Why = SockeyeRefusal("listen on", TCHAR_TO_UTF8(*Url), Done);
		OutError = UTF8_TO_TCHAR(Why.c_str());
		return false;
	}
	OutListener = FromLibrary(Made);
	return true;
}

bool USockeyeSubsystem::Connect(
	const FString& Url, FSockeyeConnection& OutConnection, FString& OutError)
{
	return ConnectWith(Url, FSockeyeOptions(), OutConnection, OutError);
}

bool USockeyeSubsystem::ConnectWith(const FString& Url, const FSockeyeOptions& Options,
	FSockeyeConnection& OutConnection, FString& OutError)
{
	OutConnection = FSockeyeConnection();
	if (!EnsureOpen(OutError))
	{
		return false;
	}
	sockeye_conn Made;
	const sockeye_endpoint Endpoint = SockeyeEndpointOf(Options);
	const sockeye_status Done = Pump->Connect(TCHAR_TO_UTF8(*Url), Made, &Endpoint);
	if (Done < 0)
	{
		const std::string Why = SockeyeRefusal("connect to", TCHAR_TO_UTF8(*Url), Done);
		OutError = UTF8_TO_TCHAR(Why.c_str());
		return false;
	}
	OutConnection = FromLibrary(Made);
	return true;
}

ESockeyeSend USockeyeSubsystem::Send(FSockeyeConnection Connection, const TArray<uint8>& Data)
{
	return SendBytes(Connection, Data);
}

ESockeyeSend USockeyeSubsystem::SendBytes(
	FSockeyeConnection Connection, TConstArrayView<uint8> Data)
{
	check(IsInGameThread());
	if (!Pump.IsValid())
	{
		return ESockeyeSend::Refused;
	}
	const size_t Size = static_cast<size_t>(Data.Num());
	return SockeyeSendOf(Pump->Send(ToLibrary(Connection), Data.GetData(), Size));
}

int32 USockeyeSubsystem::SendMany(
	const TArray<FSockeyeConnection>& Connections, const TArray<uint8>& Data)
{
	check(IsInGameThread());
	std::vector<sockeye_conn> To;
	To.reserve(static_cast<size_t>(Connections.Num()));
	for (const FSockeyeConnection Connection : Connections)
	{
		To.push_back(ToLibrary(Connection));
	}
	if (!Pump.IsValid())
	{
		return 0;
	}
	const size_t Size = static_cast<size_t>(Data.Num());
	return FMath::Max(0, Pump->SendMany(To.data(), To.size(), Data.GetData(), Size));
}

ESockeyeSend USockeyeSubsystem::SendTo(
	FSockeyeListener Listener, const FString& Address, const TArray<uint8>& Data)
{
	check(IsInGameThread());
	sockeye_address To;
	const bool bCanSend = Pump.IsValid() && Pump->GetNet();
	if (!bCanSend || sockeye_address_parse(TCHAR_TO_UTF8(*Address), &To) < 0)
	{
		return ESockeyeSend::Refused;
	}
	const size_t Size = static_cast<size_t>(Data.Num());
	return SockeyeSendOf(Pump->SendTo(ToLibrary(Listener), To, Data.GetData(), Size));
}

bool USockeyeSubsystem::Close(FSockeyeConnection Connection, bool bReset)
{
	check(IsInGameThread());
	const uint32_t How = bReset ? SOCKEYE_CLOSE_RESET : SOCKEYE_CLOSE_GRACEFUL;
	return Pump.IsValid() && Pump->Close(ToLibrary(Connection), How) >= 0;
}

bool USockeyeSubsystem::CloseListener(FSockeyeListener Listener)
{
	check(IsInGameThread());
	return Pump.IsValid() && Pump->CloseListener(ToLibrary(Listener)) >= 0;
}

void USockeyeSubsystem::Flush()
{
	check(IsInGameThread());
	if (Pump.IsValid())
	{
		Pump->Flush();
	}
}

int32 USockeyeSubsystem::GetPort(FSockeyeListener Listener) const
{
	sockeye_listener_info Info;
	sockeye_net* Net = Pump.IsValid() ? Pump->GetNet() : nullptr;
	const bool bIsKnown =
		Net && sockeye_listener_get_info(Net, ToLibrary(Listener), &Info, sizeof Info) >= 0;
	return bIsKnown ? static_cast<int32>(Info.port) : 0;
}

FString USockeyeSubsystem::GetPeer(FSockeyeConnection Connection) const
{
	sockeye_conn_info Info;
	sockeye_net* Net = Pump.IsValid() ? Pump->GetNet() : nullptr;
	const bool bIsKnown =
		Net && sockeye_conn_get_info(Net, ToLibrary(Connection), &Info, sizeof Info) >= 0;
	return bIsKnown ? ToText(&Info.peer) : FString();
}

int32 USockeyeSubsystem::GetConnectionCount() const
{
	return Pump.IsValid() ? static_cast<int32>(Pump->GetConnectionCount()) : 0;
}
