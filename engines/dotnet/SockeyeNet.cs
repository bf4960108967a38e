// A net that a program ticks: all that happened is told to its functions inside of Tick, on the
// thread that calls it. Nothing in here is called by a thread of the library but OnLog.

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
#if UNITY_5_3_OR_NEWER
using AOT;
#endif

namespace Sockeye
{
    /// <summary>What hosts are told with. The event is borrowed until the function returns.
    /// </summary>
    public delegate void SockeyeHandler(SockeyeEventRef e);

    /// <summary>A line of the library's log.</summary>
    public delegate void SockeyeLogHandler(SockeyeLogLevel level, string line);

    /// <summary>
    /// Listeners and connections with one queue of events. The calls answer a status and do not
    /// throw; Tick and Dispose are for one thread, the other calls for any, as long as nobody
    /// disposes. Nothing is allocated for an event or a send.
    /// </summary>
    public unsafe partial class SockeyeNet : IDisposable
    {
        private const int LogLinesMax = 1000;
        private static readonly SockeyeLogCallback LogFunction = OnLog;
        private static readonly IntPtr LogPointer =
            Marshal.GetFunctionPointerForDelegate(LogFunction);

        private readonly SockeyeNetHandle net;
        private readonly Queue<KeyValuePair<SockeyeLogLevel, string>> lines =
            new Queue<KeyValuePair<SockeyeLogLevel, string>>();
        private int next, count;
        private bool ticking;
        private int disposed;
        private long serial;
        /// <summary>Who is asked about peers; on any thread. See SockeyeDoorkeeper.</summary>
        internal volatile SockeyeAdmitHandler Admit;
        /// <summary>By the connections' indices.</summary>
        private SockeyeLink[] links = new SockeyeLink[0];

        /// <summary>Message is one message of a connection with framing. Bytes is what arrived on
        /// one without: a piece of its stream.</summary>
        public event SockeyeHandler Opened, Message, Bytes, Datagram, Writable, Closed,
            ListenerClosed;
        /// <summary>POSTED, TIMER, MOVED, ENDED, and kinds that a later library may have.</summary>
        public event SockeyeHandler Other;
        /// <summary>What SetLog asked for, inside of Tick and Dispose.</summary>
        public event SockeyeLogHandler Log;

        /// <summary>Makes a net, or throws a SockeyeException that says why not.</summary>
        public SockeyeNet(SockeyeConfig? config = null)
        {
            SockeyeLayout.Check();
            SockeyeConfig with = config ?? SockeyeConfig.Default;
            SockeyeStatus status = SockeyeNetHandle.Open(&with, out net);
            if (status < 0) throw SockeyeException.Last(status, "init");
        }

        /// <summary>For the functions of Native.</summary>
        public SockeyeNetHandle Handle { get { return net; } }
        public bool IsDisposed { get { return Volatile.Read(ref disposed) != 0; } }
        /// <summary>OK; ErrShutdown or ErrPanic: the net has ended, and all is told.</summary>
        public SockeyeStatus State { get; private set; }
        /// <summary>Counts events, so that one whose time is over is known.</summary>
        internal long Serial { get { return serial; } }

        // --- Ticks -------------------------------------------------------------------------------

        /// <summary>
        /// Tells what happened, up to `budget` events; the rest waits for the next tick. With
        /// `waitMs` it waits so long for a first one, -1: for ever. Answers how many it told. What
        /// a function throws comes out here, and the events behind it are told by the next tick.
        /// </summary>
        public int Tick(int budget = 1024, int waitMs = 0)
        {
            if (ticking || IsDisposed) return 0;
            ticking = true;
            int told = 0;
            try
            {
                TellLog();
                while (told < budget && (next < count || Poll(budget, told, waitMs)))
                {
                    told++;
                    Tell(net.Room + next++);
                    if (IsDisposed) break;
                }
                return told;
            }
            finally
            {
                serial++;
                ticking = false;
            }
        }

        private bool Poll(int budget, int told, int waitMs)
        {
            int room = Math.Min(budget - told, SockeyeNetHandle.RoomEvents);
            next = count = 0;
            serial++;
            int got = Native.sockeye_poll_events(net, net.Room, room, told == 0 ? waitMs : 0);
            State = got < 0 ? (SockeyeStatus)got : SockeyeStatus.Ok;
            count = Math.Max(got, 0);
            return count > 0;
        }

        private void Tell(SockeyeEvent* raw)
        {
            if (IsBehindClose(raw)) return;
            OnEvent(raw);
            SockeyeLink link = LinkOf(raw->Conn);
            if (link != null)
            {
                Call(link.HandlerOf(raw), raw);
                if (IsDisposed || IsBehindClose(raw)) return;
            }
            Call(HandlerOf(raw->Kind), raw);
        }

        private void Call(SockeyeHandler handler, SockeyeEvent* raw)
        {
            if (handler != null) handler(new SockeyeEventRef(this, raw, ++serial));
        }

        /// <summary>The host has closed its connection: only the CLOSED still counts.</summary>
        private bool IsBehindClose(SockeyeEvent* raw)
        {
            return raw->Conn.Id != 0 && raw->Kind != SockeyeEventKind.Closed
                && Native.sockeye_conn_is_open(net, raw->Conn) == 0;
        }

        private SockeyeLink LinkOf(SockeyeConn conn)
        {
            if (conn.IsNone || conn.Index >= links.Length) return null;
            SockeyeLink link = links[conn.Index];
            return link != null && link.Conn == conn ? link : null;
        }

        /// <summary>The events of its connection are given to a link from now on.</summary>
        internal void Attach(SockeyeLink link)
        {
            int index = link.Conn.Index;
            if (index >= links.Length)
                Array.Resize(ref links, Math.Max(index + 1, links.Length * 2));
            links[index] = link;
        }

        private SockeyeHandler HandlerOf(SockeyeEventKind kind)
        {
            switch (kind)
            {
                case SockeyeEventKind.Opened: return Opened;
                case SockeyeEventKind.Message: return Message;
                case SockeyeEventKind.Bytes: return Bytes;
                case SockeyeEventKind.Datagram: return Datagram;
                case SockeyeEventKind.Writable: return Writable;
                case SockeyeEventKind.Closed: return Closed;
                case SockeyeEventKind.ListenerClosed: return ListenerClosed;
                default: return Other;
            }
        }

        /// <summary>Sees each event before the host does.</summary>
        internal virtual void OnEvent(SockeyeEvent* raw) { }

        // --- Connections and listeners -----------------------------------------------------------

        /// <summary>Opens a door. SockeyeText.LastError says why it did not.</summary>
        public SockeyeStatus Listen(string url, SockeyeEndpoint? endpoint, out SockeyeListener door)
        {
            door = default(SockeyeListener);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            SockeyeEndpoint with = endpoint ?? SockeyeEndpoint.Default;
            fixed (byte* text = SockeyeText.Bytes(url))
            fixed (SockeyeListener* made = &door)
                return (SockeyeStatus)Native.sockeye_listen(net, text, &with, made);
        }

        /// <summary>Connects in the background: Opened tells of success, else Closed.</summary>
        public SockeyeStatus Connect(string url, SockeyeEndpoint? endpoint, out SockeyeConn conn)
        {
            conn = default(SockeyeConn);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            SockeyeEndpoint with = endpoint ?? SockeyeEndpoint.Default;
            fixed (byte* text = SockeyeText.Bytes(url))
            fixed (SockeyeConn* made = &conn)
                return (SockeyeStatus)Native.sockeye_connect(net, text, &with, made);
        }

        public SockeyeStatus Close(
            SockeyeConn conn, SockeyeCloseHow how = SockeyeCloseHow.Graceful)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_close(net, conn, (uint)how);
        }

        public SockeyeStatus Close(SockeyeListener door)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_listener_close(net, door);
        }

        /// <summary>Stops reading a connection, or reads it again.</summary>
        public SockeyeStatus Pause(SockeyeConn conn, bool paused = true)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)(paused ? Native.sockeye_conn_pause(net, conn)
                : Native.sockeye_conn_resume(net, conn));
        }

        /// <summary>
        /// Gives a connection another endpoint: limits and times at any time; where its endpoint
        /// has Step and it stands between two messages, also the framing and bytes that come next.
        /// </summary>
        public SockeyeStatus Configure(
            SockeyeConn conn, SockeyeEndpoint endpoint, byte[] unread = null)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            int length = unread == null ? 0 : unread.Length;
            fixed (byte* first = unread)
                return (SockeyeStatus)Native.sockeye_conn_configure(
                    net, conn, &endpoint, first, (UIntPtr)length);
        }

        /// <summary>Whether the host has not closed it, and its last event's time is not over.
        /// </summary>
        public bool IsLive(SockeyeConn conn)
        {
            return !IsDisposed && Native.sockeye_conn_is_open(net, conn) > 0;
        }

        public SockeyeStatus SetUserData(SockeyeConn conn, ulong number)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_conn_set_user_data(net, conn, number);
        }

        public SockeyeStatus GetInfo(SockeyeConn conn, out SockeyeConnInfo info)
        {
            info = default(SockeyeConnInfo);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeConnInfo* to = &info)
                return (SockeyeStatus)Native.sockeye_conn_get_info(
                    net, conn, to, (UIntPtr)sizeof(SockeyeConnInfo));
        }

        public SockeyeStatus GetInfo(SockeyeListener door, out SockeyeListenerInfo info)
        {
            info = default(SockeyeListenerInfo);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeListenerInfo* to = &info)
                return (SockeyeStatus)Native.sockeye_listener_get_info(
                    net, door, to, (UIntPtr)sizeof(SockeyeListenerInfo));
        }

        public SockeyeStatus GetStats(SockeyeConn conn, out SockeyeConnStats stats)
        {
            stats = default(SockeyeConnStats);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeConnStats* to = &stats)
                return (SockeyeStatus)Native.sockeye_conn_get_stats(
                    net, conn, to, (UIntPtr)sizeof(SockeyeConnStats));
        }

        public SockeyeStatus GetStats(out SockeyeNetStats stats)
        {
            stats = default(SockeyeNetStats);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeNetStats* to = &stats)
                return (SockeyeStatus)Native.sockeye_net_get_stats(
                    net, to, (UIntPtr)sizeof(SockeyeNetStats));
        }

        // --- Sends -------------------------------------------------------------------------------

        /// <summary>
        /// One message, whole or not at all. ErrAgain: there is no room now, and Writable follows.
        /// </summary>
        public SockeyeStatus Send(SockeyeConn conn, byte* data, int length)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            if (length < 0) return SockeyeStatus.ErrInvalid;
            return (SockeyeStatus)Native.sockeye_send(net, conn, data, (UIntPtr)length);
        }

        public SockeyeStatus Send(SockeyeConn conn, byte[] data, int at, int length)
        {
            if (!IsPart(data, at, length)) return SockeyeStatus.ErrInvalid;
            fixed (byte* first = data) return Send(conn, first + at, length);
        }

        public SockeyeStatus Send(SockeyeConn conn, byte[] data)
        {
            return data == null ? SockeyeStatus.ErrInvalid : Send(conn, data, 0, data.Length);
        }

        /// <summary>The payload of an event, in its time.</summary>
        public SockeyeStatus Send(SockeyeConn conn, SockeyeEventRef payload)
        {
            return Send(conn, payload.Data, payload.Length);
        }

#if SOCKEYE_SPAN || NETCOREAPP || NETSTANDARD2_1_OR_GREATER || UNITY_2021_2_OR_NEWER
        public SockeyeStatus Send(SockeyeConn conn, ReadOnlySpan<byte> data)
        {
            fixed (byte* first = &MemoryMarshal.GetReference(data))
                return Send(conn, first, data.Length);
        }
#endif

        /// <summary>The bytes in use of a buffer, not copied. Nobody writes to them afterwards.
        /// </summary>
        public SockeyeStatus Send(SockeyeConn conn, SockeyeBufferHandle buffer)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            if (buffer == null || buffer.IsClosed) return SockeyeStatus.ErrInvalid;
            return SendPart(conn, buffer.Data, buffer.Length, buffer.Id, 0, 0);
        }

        /// <summary>
        /// A message of which only the newest counts, such as a position: it replaces one with the
        /// same key that has not left, in that one's place or, `atEnd`, behind all that waits. Not
        /// without framing. Key 0 is none.
        /// </summary>
        public SockeyeStatus SendKeyed(
            SockeyeConn conn, ulong key, byte[] data, int at, int length, bool atEnd = false)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            if (!IsPart(data, at, length)) return SockeyeStatus.ErrInvalid;
            fixed (byte* first = data)
                return SendPart(
                    conn, first + at, length, 0, key, atEnd ? Native.MessageAtEnd : 0);
        }

        private SockeyeStatus SendPart(
            SockeyeConn conn, byte* data, int length, ulong buffer, ulong key, uint flags)
        {
            SockeyeBytes part = new SockeyeBytes();
            part.Data = data;
            part.Len = (UIntPtr)length;
            SockeyeMessage message;
            Native.sockeye_message_init(&message, (UIntPtr)sizeof(SockeyeMessage));
            message.Parts = &part;
            message.PartsCount = 1;
            message.BufferId = buffer;
            message.Key = key;
            message.Flags = flags;
            int each = 0;
            int taken = Native.sockeye_send_message(net, &conn, (UIntPtr)1, &message, &each);
            return (SockeyeStatus)(taken < 0 ? taken : each);
        }

        /// <summary>
        /// One message to the first `many` of these. Answers how many took it, or a status below 0;
        /// `each`, if given, has room for as many answers.
        /// </summary>
        public int SendMany(
            SockeyeConn[] to, int many, byte[] data, int at, int length, int[] each = null)
        {
            if (IsDisposed) return (int)SockeyeStatus.ErrShutdown;
            bool right = to != null && many >= 0 && many <= to.Length && IsPart(data, at, length)
                && (each == null || each.Length >= many);
            if (!right) return (int)SockeyeStatus.ErrInvalid;
            fixed (SockeyeConn* conns = to)
            fixed (byte* first = data)
            fixed (int* answers = each)
                return Native.sockeye_send_many(
                    net, conns, (UIntPtr)many, first + at, (UIntPtr)length, answers);
        }

        /// <summary>One datagram of a udp:// listener.</summary>
        public SockeyeStatus SendTo(
            SockeyeListener door, SockeyeAddress to, byte[] data, int at, int length)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            if (!IsPart(data, at, length)) return SockeyeStatus.ErrInvalid;
            fixed (byte* first = data)
                return (SockeyeStatus)Native.sockeye_send_to(
                    net, door, &to, first + at, (UIntPtr)length);
        }

        /// <summary>Lets leave what was sent, where the configuration's Flush is Manual.</summary>
        public SockeyeStatus Flush()
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_flush(net);
        }

        /// <summary>Puts an event in the queue, from any thread: told by Other, it ends a wait.
        /// </summary>
        public SockeyeStatus Post(ulong detail, ulong userData = 0)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_post(net, 0, detail, userData);
        }

        /// <summary>Has the poll that waits, or else the next one, answer 0, from any thread.
        /// </summary>
        public SockeyeStatus Wake()
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_wake(net, 0);
        }

        /// <summary>What a bad network does, to a connection or listener by its Id, or to all (0);
        /// null takes it back. The net was made with Taps 1.</summary>
        public SockeyeStatus SetFault(ulong id, SockeyeFault? fault)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            SockeyeFault given = fault.GetValueOrDefault();
            return (SockeyeStatus)Native.sockeye_fault_set(net, id, fault.HasValue ? &given : null);
        }

        /// <summary>Starts a timer, told by Other: due after so long, and again every
        /// <paramref name="everyMs"/> if that is not 0.</summary>
        public SockeyeStatus StartTimer(
            uint afterMs, uint everyMs, ulong userData, out SockeyeTimer timer)
        {
            timer = default(SockeyeTimer);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeTimer* made = &timer)
            {
                return (SockeyeStatus)Native.sockeye_timer_start(
                    net, 0, afterMs, everyMs, userData, made);
            }
        }

        /// <summary>Stops a timer, from any thread: no later tick tells of it.</summary>
        public SockeyeStatus StopTimer(SockeyeTimer timer)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_timer_stop(net, timer);
        }

        /// <summary>A buffer to be written and sent without a copy.</summary>
        public SockeyeStatus TryAcquire(int length, out SockeyeBufferHandle buffer)
        {
            buffer = null;
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            if (length < 0) return SockeyeStatus.ErrInvalid;
            SockeyeBuffer made;
            int status = Native.sockeye_buffer_acquire(net, (UIntPtr)length, &made);
            if (status >= 0) buffer = new SockeyeBufferHandle(made);
            return (SockeyeStatus)status;
        }

        internal SockeyeStatus Hold(SockeyeEvent* raw, out SockeyeBufferHandle held)
        {
            held = null;
            SockeyeBuffer made;
            int status = Native.sockeye_event_hold(net, raw, &made);
            if (status >= 0) held = new SockeyeBufferHandle(made);
            return (SockeyeStatus)status;
        }

        private static bool IsPart(byte[] data, int at, int length)
        {
            return data != null && at >= 0 && length >= 0 && at <= data.Length
                && length <= data.Length - at;
        }

        // --- The log -----------------------------------------------------------------------------

        /// <summary>Has lines up to this level told by Log; None ends it.</summary>
        public SockeyeStatus SetLog(SockeyeLogLevel level)
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            bool on = level != SockeyeLogLevel.None;
            return (SockeyeStatus)Native.sockeye_set_log(net, on ? LogPointer : IntPtr.Zero,
                on ? net.OwnedBy(this) : IntPtr.Zero, (uint)level);
        }

        /// <summary>On any thread: keeps the line for the next tick.</summary>
        [MonoPInvokeCallback(typeof(SockeyeLogCallback))]
        private static void OnLog(IntPtr user, uint level, byte* text)
        {
            try
            {
                SockeyeNet own = SockeyeNetHandle.OwnerOf(user);
                if (own == null) return;
                string line = SockeyeText.Read(text);
                lock (own.lines)
                    if (own.lines.Count < LogLinesMax)
                        own.lines.Enqueue(new KeyValuePair<SockeyeLogLevel, string>(
                            (SockeyeLogLevel)level, line));
            }
            catch (Exception)
            {
                // An exception must not pass through the library: the line is lost.
            }
        }

        private void TellLog()
        {
            while (true)
            {
                KeyValuePair<SockeyeLogLevel, string> line;
                lock (lines)
                {
                    if (lines.Count == 0) return;
                    line = lines.Dequeue();
                }
                SockeyeLogHandler log = Log;
                if (log != null) log(line.Key, line.Value);
            }
        }

        // --- The end -----------------------------------------------------------------------------

        /// <summary>
        /// Ends the net in order: sends what waits, for up to so long, and joins its threads. Ticks
        /// tell what is left, and a Closed for each connection, until State is ErrShutdown.
        /// </summary>
        public SockeyeStatus Shutdown(int drainMs)
        {
            return IsDisposed ? SockeyeStatus.ErrShutdown : net.Shutdown(drainMs);
        }

        /// <summary>
        /// Ends and frees the net; what is left is not told but to Log. Again is fine. When it
        /// returns the library has no thread and calls nothing any more. Shutdown before it is for
        /// those who have last words to send.
        /// </summary>
        public void Dispose()
        {
            if (Interlocked.Exchange(ref disposed, 1) != 0) return;
            serial++;
            if (net.Shutdown(0) == SockeyeStatus.ErrWouldDeadlock)
            {
                disposed = 0;
                throw new InvalidOperationException("Dispose inside a callback of the library");
            }
            net.Dispose();
            TellLog();
            GC.SuppressFinalize(this);
        }
    }
}
