// A room: connections that are sent the same, by one call however many they are.

using System;

namespace Sockeye
{
    /// <summary>
    /// A group of connections of one net. It lives until Destroy, or as long as its net; its calls
    /// may be made on any thread while nobody disposes that.
    /// </summary>
    public sealed unsafe class SockeyeRoom
    {
        private readonly SockeyeNet net;

        /// <summary>For the functions of Native.</summary>
        public SockeyeGroup Group { get; private set; }

        /// <summary>Throws, with the library's words, where GroupsMax is reached.</summary>
        public SockeyeRoom(SockeyeNet net)
        {
            if (net == null) throw new ArgumentNullException("net");
            this.net = net;
            SockeyeGroup made = default(SockeyeGroup);
            int status = net.IsDisposed
                ? (int)SockeyeStatus.ErrShutdown : Native.sockeye_group_create(net.Handle, &made);
            if (status < 0) throw SockeyeException.Last((SockeyeStatus)status, "a room");
            Group = made;
        }

        /// <summary>It is sent what the room is, from now on.</summary>
        public SockeyeStatus Add(SockeyeConn member)
        {
            if (net.IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_group_add(net.Handle, Group, member);
        }

        /// <summary>It is given what was sent before.</summary>
        public SockeyeStatus Remove(SockeyeConn member)
        {
            if (net.IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_group_remove(net.Handle, Group, member);
        }

        /// <summary>How many members there are, or a status below 0.</summary>
        public int Count
        {
            get
            {
                if (net.IsDisposed) return (int)SockeyeStatus.ErrShutdown;
                return Native.sockeye_group_count(net.Handle, Group);
            }
        }

        /// <summary>
        /// One message to all members but one. Members without room are skipped. With a key it
        /// replaces what waits under the same one at each member.
        /// </summary>
        public SockeyeStatus Send(
            byte[] data, int at, int length,
            SockeyeConn except = default(SockeyeConn), ulong key = 0)
        {
            if (net.IsDisposed) return SockeyeStatus.ErrShutdown;
            if (data == null || at < 0 || length < 0 || at > data.Length - length)
                return SockeyeStatus.ErrInvalid;
            fixed (byte* first = data)
            {
                SockeyeBytes part = new SockeyeBytes();
                part.Data = first + at;
                part.Len = (UIntPtr)length;
                SockeyeMessage message = SockeyeMessage.Default;
                message.Parts = &part;
                message.PartsCount = 1;
                message.Key = key;
                return (SockeyeStatus)Native.sockeye_group_send(
                    net.Handle, Group, except, &message, null);
            }
        }

        public SockeyeStatus Send(byte[] data)
        {
            return data == null ? SockeyeStatus.ErrInvalid : Send(data, 0, data.Length);
        }

        public SockeyeStatus GetStats(out SockeyeGroupStats stats)
        {
            stats = default(SockeyeGroupStats);
            if (net.IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeGroupStats* to = &stats)
                return (SockeyeStatus)Native.sockeye_group_get_stats(
                    net.Handle, Group, to, (UIntPtr)sizeof(SockeyeGroupStats));
        }

        /// <summary>Its members stay connected.</summary>
        public SockeyeStatus Destroy()
        {
            if (net.IsDisposed) return SockeyeStatus.ErrShutdown;
            return (SockeyeStatus)Native.sockeye_group_destroy(net.Handle, Group);
        }
    }
}
