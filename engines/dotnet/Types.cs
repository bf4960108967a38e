// The numbers and structs of sockeye.h, each under its own name: sockeye_conn_info is
// SockeyeConnInfo, data_len is DataLen, SOCKEYE_CAUSE_TIMEOUT_IDLE is SockeyeCause.TimeoutIdle.
// What each one means is said there. All structs are blittable: numbers and pointers at fixed
// places, the same on every platform, and nothing that would have to be marshalled.

using System;
using System.Runtime.InteropServices;

namespace Sockeye
{
    /// <summary>What calls answer: 0 and more is done, below nothing was.</summary>
    public enum SockeyeStatus : int
    {
        Ok = 0,
        ErrInvalid = -1,
        ErrStale = -2,
        ErrClosed = -3,
        ErrAgain = -4,
        ErrTooBig = -5,
        ErrBusy = -6,
        ErrUnsupported = -7,
        ErrLimit = -8,
        ErrOs = -9,
        ErrShutdown = -10,
        ErrWouldDeadlock = -11,
        ErrForked = -12,
        ErrPanic = -13,
        ErrNoMemory = -14,
        ErrDenied = -15,
    }

    /// <summary>The input/output models.</summary>
    public enum SockeyeModel : uint
    {
        Auto = 0,
        Blocking = 1,
        Select = 2,
        Poll = 3,
        Epoll = 4,
        Tokio = 5,
        IoUring = 6,
        EventSelect = 7,
        OverlappedEvent = 8,
        OverlappedRoutine = 9,
        Iocp = 10,
    }

    /// <summary>Who turns the workers.</summary>
    public enum SockeyeDrive : uint
    {
        Pool = 0,
        Lend = 1,
        Host = 2,
    }

    /// <summary>When sends leave.</summary>
    public enum SockeyeFlushMode : uint
    {
        Auto = 0,
        Manual = 1,
    }

    /// <summary>How the byte stream is cut into messages.</summary>
    public enum SockeyeFramingKind : uint
    {
        Raw = 0,
        Length = 1,
        Varint = 2,
        Delimiter = 3,
        Fixed = 4,
    }

    /// <summary>What happens to a send that the outbox has no room for.</summary>
    public enum SockeyeOverflow : uint
    {
        Reject = 0,
        DropOldest = 1,
        Close = 2,
    }

    /// <summary>How to close.</summary>
    public enum SockeyeCloseHow : uint
    {
        Graceful = 0,
        Reset = 1,
    }

    /// <summary>What an event tells.</summary>
    public enum SockeyeEventKind : uint
    {
        None = 0,
        Opened = 1,
        Message = 2,
        Datagram = 3,
        Writable = 4,
        Moved = 5,
        Closed = 6,
        ListenerClosed = 7,
        Posted = 8,
        Ended = 9,
        Timer = 10,
    }

    /// <summary>Why a connection or a listener closed.</summary>
    public enum SockeyeCause : int
    {
        None = 0,
        Peer = 1,
        Reset = 2,
        Refused = 3,
        Unreachable = 4,
        Resolve = 5,
        TimeoutConnect = 6,
        TimeoutIdle = 7,
        TimeoutFirstByte = 8,
        TimeoutFrame = 9,
        TimeoutSend = 10,
        TimeoutLinger = 11,
        LimitFrame = 12,
        LimitOutbox = 13,
        LimitMemory = 14,
        LimitDescriptors = 16,
        LimitModel = 17,
        Protocol = 18,
        Host = 19,
        Shutdown = 20,
        Internal = 21,
        Truncated = 22,
    }

    /// <summary>How much a line of the log matters.</summary>
    public enum SockeyeLogLevel : uint
    {
        None = 0,
        Error = 1,
        Warning = 2,
        Info = 3,
    }

    /// <summary>Whether a model can run here, and why not.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 232)]
    public unsafe struct SockeyeModelInfo
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public SockeyeModel Model;
        [FieldOffset(8)] public uint Available;
        [FieldOffset(12)] public uint SocketsMax;
        [FieldOffset(16)] public fixed byte Name[32];
        [FieldOffset(48)] public fixed byte Reason[184];
    }

    /// <summary>What a net is made with.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 96)]
    public unsafe partial struct SockeyeConfig
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public SockeyeModel Model;
        [FieldOffset(8)] public uint Workers;
        [FieldOffset(12)] public uint Queues;
        [FieldOffset(16)] public SockeyeDrive Drive;
        [FieldOffset(20)] public uint LeaseUs;
        [FieldOffset(24)] public SockeyeFlushMode Flush;
        [FieldOffset(28)] public uint ConnectionsMax;
        [FieldOffset(32)] public uint GatherUs;
        [FieldOffset(36)] public uint SpinUs;
        [FieldOffset(40)] public uint TurnMessages;
        [FieldOffset(44)] public uint TurnBytes;
        [FieldOffset(48)] public ulong MemoryMaxBytes;
        [FieldOffset(56)] public ulong QueueMaxBytes;
        [FieldOffset(64)] public uint Taps;
        [FieldOffset(68)] public uint TimersMax;
        [FieldOffset(72)] public fixed uint Reserved[6];
    }

    /// <summary>How the stream is cut into messages.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 64)]
    public unsafe struct SockeyeFraming
    {
        [FieldOffset(0)] public SockeyeFramingKind Kind;
        [FieldOffset(4)] public uint LengthBytes;
        [FieldOffset(8)] public uint LengthOffset;
        [FieldOffset(12)] public uint LittleEndian;
        [FieldOffset(16)] public int LengthAdjustment;
        [FieldOffset(20)] public uint KeepHeader;
        [FieldOffset(24)] public uint FrameMaxBytes;
        [FieldOffset(28)] public fixed uint Reserved[9];
    }

    /// <summary>What connections are made with: a listener's, or one outgoing one.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 176)]
    public unsafe partial struct SockeyeEndpoint
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public uint Queue;
        [FieldOffset(8)] public ulong UserData;
        [FieldOffset(16)] public SockeyeFraming Framing;
        [FieldOffset(80)] public uint OutboxMaxBytes;
        [FieldOffset(84)] public uint OutboxLowBytes;
        [FieldOffset(88)] public uint OutboxMaxMessages;
        [FieldOffset(92)] public SockeyeOverflow Overflow;
        [FieldOffset(96)] public uint GateReads;
        [FieldOffset(100)] public uint ConnectTimeoutMs;
        [FieldOffset(104)] public uint IdleTimeoutMs;
        [FieldOffset(108)] public uint FirstByteTimeoutMs;
        [FieldOffset(112)] public uint FrameTimeoutMs;
        [FieldOffset(116)] public uint SendTimeoutMs;
        [FieldOffset(120)] public uint LingerMs;
        [FieldOffset(124)] public uint Backlog;
        [FieldOffset(128)] public uint Nodelay;
        [FieldOffset(132)] public uint KeepaliveS;
        [FieldOffset(136)] public uint RecvBufferBytes;
        [FieldOffset(140)] public uint SendBufferBytes;
        [FieldOffset(144)] public uint HalfOpen;
        [FieldOffset(148)] public uint Share;
        [FieldOffset(152)] public fixed uint Reserved[6];
    }

    /// <summary>A listener of one net.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public partial struct SockeyeListener
    {
        public ulong Id;
    }

    /// <summary>A connection of one net.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public partial struct SockeyeConn
    {
        public ulong Id;
    }

    /// <summary>A timer of one net.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct SockeyeTimer
    {
        public ulong Id;
    }

    /// <summary>Some bytes of the host's.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    public unsafe struct SockeyeBytes
    {
        [FieldOffset(0)] public byte* Data;
        [FieldOffset(8)] public UIntPtr Len;
    }

    /// <summary>A message in parts.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    public unsafe struct SockeyeMessage
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public uint Flags;
        [FieldOffset(8)] public ulong Key;
        [FieldOffset(16)] public SockeyeBytes* Parts;
        [FieldOffset(24)] public uint PartsCount;
        [FieldOffset(28)] public uint Reserved;
        [FieldOffset(32)] public ulong BufferId;
    }

    /// <summary>What happens to one direction of a socket.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 64)]
    public unsafe struct SockeyeFaultWay
    {
        [FieldOffset(0)] public ulong RateBytes;
        [FieldOffset(8)] public ulong ResetAfterBytes;
        [FieldOffset(16)] public uint DelayMs;
        [FieldOffset(20)] public uint JitterMs;
        [FieldOffset(24)] public uint StallMs;
        [FieldOffset(28)] public uint SplitBytes;
        [FieldOffset(32)] public uint LossPpm;
        [FieldOffset(36)] public uint Burst;
        [FieldOffset(40)] public uint DuplicatePpm;
        [FieldOffset(44)] public uint ReorderPpm;
        [FieldOffset(48)] public uint CorruptPpm;
        [FieldOffset(52)] public fixed uint Reserved[3];
    }

    /// <summary>What a bad network does, on purpose: needs taps.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 144)]
    public unsafe partial struct SockeyeFault
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public uint Reserved;
        [FieldOffset(8)] public ulong Seed;
        [FieldOffset(16)] public SockeyeFaultWay Inward;
        [FieldOffset(80)] public SockeyeFaultWay Outward;
    }

    /// <summary>One event, 64 bytes.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 64)]
    public unsafe struct SockeyeEvent
    {
        [FieldOffset(0)] public SockeyeEventKind Kind;
        [FieldOffset(4)] public SockeyeCause Cause;
        [FieldOffset(8)] public SockeyeConn Conn;
        [FieldOffset(16)] public SockeyeListener Listener;
        [FieldOffset(24)] public ulong UserData;
        [FieldOffset(32)] public byte* Data;
        [FieldOffset(40)] public uint DataLen;
        [FieldOffset(44)] public int OsError;
        [FieldOffset(48)] public ulong Detail;
        [FieldOffset(56)] public uint Flags;
        [FieldOffset(60)] public uint Code;
    }

    /// <summary>An internet address.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    public unsafe partial struct SockeyeAddress
    {
        [FieldOffset(0)] public ushort Family;
        [FieldOffset(2)] public ushort Port;
        [FieldOffset(4)] public uint ScopeId;
        [FieldOffset(8)] public fixed byte Bytes[16];
        [FieldOffset(24)] public fixed byte Local[16];
    }

    /// <summary>What a udp:// listener has counted.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 72)]
    public struct SockeyeListenerStats
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public uint OutboxMessages;
        [FieldOffset(8)] public ulong OutboxBytes;
        [FieldOffset(16)] public ulong ReceivedBytes;
        [FieldOffset(24)] public ulong ReceivedMessages;
        [FieldOffset(32)] public ulong SentBytes;
        [FieldOffset(40)] public ulong DroppedMessages;
        [FieldOffset(48)] public ulong SystemDrops;
        [FieldOffset(56)] public ulong QueueDrops;
        [FieldOffset(64)] public ulong SendFailures;
    }

    /// <summary>A piece of the library's memory in the host's hands.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 24)]
    public unsafe struct SockeyeBuffer
    {
        [FieldOffset(0)] public byte* Data;
        [FieldOffset(8)] public uint DataLen;
        [FieldOffset(12)] public uint Capacity;
        [FieldOffset(16)] public ulong Id;
    }

    /// <summary>What a net runs with.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 224)]
    public unsafe struct SockeyeNetInfo
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public SockeyeModel Model;
        [FieldOffset(8)] public SockeyeDrive Drive;
        [FieldOffset(12)] public uint Workers;
        [FieldOffset(16)] public uint Threads;
        [FieldOffset(20)] public uint Queues;
        [FieldOffset(24)] public uint ConnectionsMax;
        [FieldOffset(28)] public uint Reserved;
        [FieldOffset(32)] public fixed byte ModelReason[96];
        [FieldOffset(128)] public fixed byte DriveReason[96];
    }

    /// <summary>What a net has counted since it was made.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 152)]
    public struct SockeyeNetStats
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public uint Reserved;
        [FieldOffset(8)] public ulong Connections;
        [FieldOffset(16)] public ulong Accepted;
        [FieldOffset(24)] public ulong AcceptFailures;
        [FieldOffset(32)] public ulong ReceivedBytes;
        [FieldOffset(40)] public ulong ReceivedMessages;
        [FieldOffset(48)] public ulong SentBytes;
        [FieldOffset(56)] public ulong SentBatches;
        [FieldOffset(64)] public ulong Turns;
        [FieldOffset(72)] public ulong Waits;
        [FieldOffset(80)] public ulong Wakes;
        [FieldOffset(88)] public ulong MemoryBytes;
        [FieldOffset(96)] public ulong QueuedBytes;
        [FieldOffset(104)] public ulong SystemDrops;
        [FieldOffset(112)] public ulong QueueDrops;
        [FieldOffset(120)] public ulong SendFailures;
        [FieldOffset(128)] public ulong FrameBytes;
        [FieldOffset(136)] public ulong SendBytes;
        [FieldOffset(144)] public ulong MemoryCloses;
    }

    /// <summary>Facts of a listener.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 56)]
    public struct SockeyeListenerInfo
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public uint Port;
        [FieldOffset(8)] public SockeyeAddress Local;
        [FieldOffset(48)] public ulong Accepted;
    }

    /// <summary>Facts of a connection.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 120)]
    public struct SockeyeConnInfo
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public uint Queue;
        [FieldOffset(8)] public SockeyeAddress Peer;
        [FieldOffset(48)] public SockeyeAddress Local;
        [FieldOffset(88)] public SockeyeListener Listener;
        [FieldOffset(96)] public ulong UserData;
        [FieldOffset(104)] public uint HasCredentials;
        [FieldOffset(108)] public uint PeerPid;
        [FieldOffset(112)] public uint PeerUid;
        [FieldOffset(116)] public uint PeerGid;
    }

    /// <summary>What a connection has counted.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 72)]
    public struct SockeyeConnStats
    {
        [FieldOffset(0)] public uint StructSize;
        [FieldOffset(4)] public uint OutboxMessages;
        [FieldOffset(8)] public ulong OutboxBytes;
        [FieldOffset(16)] public ulong ReceivedBytes;
        [FieldOffset(24)] public ulong ReceivedMessages;
        [FieldOffset(32)] public ulong SentBytes;
        [FieldOffset(40)] public ulong DroppedMessages;
        [FieldOffset(48)] public ulong SystemDrops;
        [FieldOffset(56)] public ulong QueueDrops;
        [FieldOffset(64)] public ulong SendFailures;
    }
}
