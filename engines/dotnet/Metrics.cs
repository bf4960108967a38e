// What a net counts and measures: for a monitoring system, and for a game's own displays.

using System;
using System.Text;

namespace Sockeye
{
    public unsafe partial class SockeyeNet
    {
        /// <summary>
        /// All numbers in the text format of Prometheus, 0.0.4: the answer to a scrape. Null when
        /// the net is disposed.
        /// </summary>
        public string WriteMetrics()
        {
            byte[] room = new byte[16384];
            while (!IsDisposed)
            {
                UIntPtr length;
                fixed (byte* first = room)
                {
                    int status = Native.sockeye_metrics_write(
                        net, first, (UIntPtr)room.Length, &length);
                    if (status >= 0) return Encoding.UTF8.GetString(room, 0, (int)length);
                    if (status != (int)SockeyeStatus.ErrTooBig) return null;
                }
                // Numbers grow meanwhile.
                room = new byte[(int)length + 1024];
            }
            return null;
        }

        /// <summary>
        /// Serves them at tcp://host:port and /metrics, to whoever reaches that; `port` is also
        /// known where the URL says 0. It ends with CloseMetrics or the net.
        /// </summary>
        public SockeyeStatus ListenMetrics(string url, out int port)
        {
            uint bound = 0;
            int status = (int)SockeyeStatus.ErrShutdown;
            if (!IsDisposed)
                fixed (byte* text = SockeyeText.Bytes(url))
                    status = Native.sockeye_metrics_listen(net, text, &bound);
            port = (int)bound;
            return (SockeyeStatus)status;
        }

        public SockeyeStatus CloseMetrics()
        {
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_metrics_close(net);
        }

        /// <summary>What waits in a queue now.</summary>
        public SockeyeStatus GetStats(uint queue, out SockeyeQueueStats stats)
        {
            stats = default(SockeyeQueueStats);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeQueueStats* to = &stats)
                return (SockeyeStatus)Native.sockeye_queue_get_stats(
                    net, queue, to, (UIntPtr)sizeof(SockeyeQueueStats));
        }

        /// <summary>A latency. Needs SockeyeConfig.Histograms.</summary>
        public SockeyeStatus GetHistogram(
            SockeyeHistogramKind kind, out SockeyeHistogram histogram)
        {
            histogram = default(SockeyeHistogram);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeHistogram* to = &histogram)
                return (SockeyeStatus)Native.sockeye_net_get_histogram(
                    net, (uint)kind, to, (UIntPtr)sizeof(SockeyeHistogram));
        }

        /// <summary>What the system measures of a connection's way: round trip and loss.</summary>
        public SockeyeStatus GetTcpInfo(SockeyeConn conn, out SockeyeTcpInfo info)
        {
            info = default(SockeyeTcpInfo);
            if (IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeTcpInfo* to = &info)
                return (SockeyeStatus)Native.sockeye_conn_get_tcp_info(
                    net, conn, to, (UIntPtr)sizeof(SockeyeTcpInfo));
        }

        /// <summary>
        /// The same of the first `many` of these. Answers of how many it is known, or a status
        /// below 0; StructSize is 0 where it is not.
        /// </summary>
        public int GetTcpInfo(SockeyeConn[] conns, int many, SockeyeTcpInfo[] infos)
        {
            if (IsDisposed) return (int)SockeyeStatus.ErrShutdown;
            bool right = conns != null && infos != null && many >= 0 && many <= conns.Length
                && many <= infos.Length;
            if (!right) return (int)SockeyeStatus.ErrInvalid;
            fixed (SockeyeConn* of = conns)
            fixed (SockeyeTcpInfo* to = infos)
                return Native.sockeye_conns_get_tcp_info(
                    net, of, (UIntPtr)many, to, (UIntPtr)sizeof(SockeyeTcpInfo));
        }
    }
}
