// A server and a client for programs that tick: Unity's Update, or a loop of one's own. Their
// functions, and what the calls promise, are those of SockeyeNet. Several clients on one net are
// links.

using System;

namespace Sockeye
{
    /// <summary>
    /// Connections that come in by one door:
    ///
    ///     var server = new SockeyeServer("tcp://0.0.0.0:7777?frame=u32be");
    ///     server.Message += e => server.Send(e.Conn, e);
    ///     ... each frame: server.Tick(); ... at the end: server.Dispose();
    /// </summary>
    public sealed unsafe class SockeyeServer : SockeyeNet
    {
        /// <summary>Listens, or throws a SockeyeException that says why not.</summary>
        public SockeyeServer(
            string url, SockeyeConfig? config = null, SockeyeEndpoint? endpoint = null)
            : base(config)
        {
            SockeyeListener door;
            SockeyeStatus status = Listen(url, endpoint, out door);
            if (status < 0)
            {
                SockeyeException why = SockeyeException.Last(status, url);
                Dispose();
                throw why;
            }
            Door = door;
            SockeyeListenerInfo info;
            GetInfo(door, out info);
            SockeyeLayout.CheckSize(
                "SockeyeListenerInfo", info.StructSize, sizeof(SockeyeListenerInfo));
            Port = (int)info.Port;
        }

        public SockeyeListener Door { get; private set; }
        /// <summary>The port it listens on, also when the URL said 0.</summary>
        public int Port { get; private set; }
    }

    /// <summary>
    /// One connection that goes out, and again when it has ended and the host wants it to:
    ///
    ///     var client = new SockeyeClient("tcp://example.org:7777?frame=u32be");
    ///     client.Message += e => Apply(e.ToArray());
    ///     client.Closed += e => Show(e.CauseText);
    ///     ... each frame: client.Tick(); ... at the end: client.Dispose();
    /// </summary>
    public sealed unsafe class SockeyeClient : SockeyeNet
    {
        private readonly SockeyeEndpoint endpoint;

        /// <summary>
        /// Begins to connect, or throws a SockeyeException when the URL is none. Opened tells of
        /// success, Closed without it of failure.
        /// </summary>
        public SockeyeClient(
            string url, SockeyeConfig? config = null, SockeyeEndpoint? endpoint = null)
            : base(config)
        {
            this.endpoint = endpoint ?? SockeyeEndpoint.Default;
            SockeyeStatus status = Connect(url);
            if (status >= 0) return;
            SockeyeException why = SockeyeException.Last(status, url);
            Dispose();
            throw why;
        }

        /// <summary>The connection, from Connect to its Closed; then none.</summary>
        public SockeyeConn Conn { get; private set; }
        /// <summary>From Opened to Closed.</summary>
        public bool IsOpen { get; private set; }

        /// <summary>Connects once more. ErrBusy: the connection before has not ended.</summary>
        public SockeyeStatus Connect(string url)
        {
            if (!Conn.IsNone) return SockeyeStatus.ErrBusy;
            SockeyeConn conn;
            SockeyeStatus status = Connect(url, endpoint, out conn);
            Conn = conn;
            return status;
        }

        /// <summary>As SockeyeNet.Send; before Opened it waits for it.</summary>
        public SockeyeStatus Send(byte[] data) { return Send(Conn, data); }
        public SockeyeStatus Send(byte[] data, int at, int length)
        {
            return Send(Conn, data, at, length);
        }
        public SockeyeStatus Send(byte* data, int length) { return Send(Conn, data, length); }
        public SockeyeStatus Send(SockeyeBufferHandle buffer) { return Send(Conn, buffer); }

        /// <summary>Closes the connection; its Closed follows.</summary>
        public SockeyeStatus Close(SockeyeCloseHow how = SockeyeCloseHow.Graceful)
        {
            return Close(Conn, how);
        }

        internal override void OnEvent(SockeyeEvent* raw)
        {
            if (raw->Conn != Conn || Conn.IsNone) return;
            if (raw->Kind == SockeyeEventKind.Opened) IsOpen = true;
            if (raw->Kind != SockeyeEventKind.Closed) return;
            IsOpen = false;
            Conn = default(SockeyeConn);
        }
    }

    /// <summary>
    /// One of several connections that go out from one net, with functions of its own: a game's
    /// login, match and chat servers, or a thousand bots.
    ///
    ///     var net = new SockeyeNet();
    ///     var chat = new SockeyeLink(net);
    ///     chat.Message += e => Show(e.Utf8);
    ///     chat.Connect("tcp://chat.example.org:7778?frame=u16be");
    ///     ... each frame: net.Tick(); ... at the end: net.Dispose();
    ///
    /// The net's own functions are called too, behind those of the link. A link is for the thread
    /// that ticks its net.
    /// </summary>
    public sealed unsafe class SockeyeLink
    {
        private readonly SockeyeEndpoint endpoint;

        public SockeyeLink(SockeyeNet net, SockeyeEndpoint? endpoint = null)
        {
            if (net == null) throw new ArgumentNullException("net");
            Net = net;
            this.endpoint = endpoint ?? SockeyeEndpoint.Default;
        }

        public event SockeyeHandler Opened, Message, Bytes, Datagram, Writable, Closed;
        /// <summary>ENDED, and kinds that a later library may have.</summary>
        public event SockeyeHandler Other;

        public SockeyeNet Net { get; private set; }
        /// <summary>The connection, from Connect to its Closed; then none.</summary>
        public SockeyeConn Conn { get; private set; }
        /// <summary>From Opened to Closed.</summary>
        public bool IsOpen { get; private set; }

        /// <summary>Connects in the background: Opened tells of success, else Closed. ErrBusy: the
        /// connection before has not ended.</summary>
        public SockeyeStatus Connect(string url)
        {
            if (!Conn.IsNone) return SockeyeStatus.ErrBusy;
            SockeyeConn conn;
            SockeyeStatus status = Net.Connect(url, endpoint, out conn);
            Conn = conn;
            if (status >= 0) Net.Attach(this);
            return status;
        }

        public SockeyeStatus Send(byte[] data) { return Net.Send(Conn, data); }
        public SockeyeStatus Send(byte[] data, int at, int length)
        {
            return Net.Send(Conn, data, at, length);
        }
        public SockeyeStatus SendKeyed(
            ulong key, byte[] data, int at, int length, bool atEnd = false)
        {
            return Net.SendKeyed(Conn, key, data, at, length, atEnd);
        }

        /// <summary>Closes the connection; its Closed follows.</summary>
        public SockeyeStatus Close(SockeyeCloseHow how = SockeyeCloseHow.Graceful)
        {
            return Net.Close(Conn, how);
        }

        internal SockeyeHandler HandlerOf(SockeyeEvent* raw)
        {
            switch (raw->Kind)
            {
                case SockeyeEventKind.Opened:
                    IsOpen = true;
                    return Opened;
                case SockeyeEventKind.Closed:
                    IsOpen = false;
                    Conn = default(SockeyeConn);
                    return Closed;
                case SockeyeEventKind.Message: return Message;
                case SockeyeEventKind.Bytes: return Bytes;
                case SockeyeEventKind.Datagram: return Datagram;
                case SockeyeEventKind.Writable: return Writable;
                default: return Other;
            }
        }
    }
}
