// What owns something of the library's: a net, a buffer. Each gives it back once, whoever asks how
// often, and also when it was forgotten.

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace Sockeye
{
    /// <summary>
    /// A net. It is freed when it is disposed and the last call has left it; before a domain is
    /// unloaded at the latest. Afterwards nothing of the library runs for it.
    /// </summary>
    public sealed unsafe class SockeyeNetHandle : SafeHandle
    {
        internal const int RoomEvents = 256;

        /// <summary>Who has not ended yet; weak, so that a forgotten one is collected.</summary>
        private static readonly Dictionary<IntPtr, WeakReference> Live =
            new Dictionary<IntPtr, WeakReference>();

        /// <summary>The way back to whoever owns this, for functions that are called.</summary>
        private GCHandle owner;
        private SockeyeEvent* room;

        static SockeyeNetHandle()
        {
            // Unity's editor unloads the domain at each change of a script: a worker that told
            // something to a function in it later would take the editor with it.
            AppDomain.CurrentDomain.DomainUnload += (sender, e) => EndAll();
            AppDomain.CurrentDomain.ProcessExit += (sender, e) => EndAll();
        }

        private SockeyeNetHandle() : base(IntPtr.Zero, true) { }

        public override bool IsInvalid { get { return handle == IntPtr.Zero; } }

        /// <summary>Where polls put events; it lives as long as the net.</summary>
        internal SockeyeEvent* Room { get { return room; } }

        /// <summary>Makes a net. `config` may be null.</summary>
        public static SockeyeStatus Open(SockeyeConfig* config, out SockeyeNetHandle net)
        {
            net = new SockeyeNetHandle();
            IntPtr made;
            SockeyeStatus status = (SockeyeStatus)Native.sockeye_init(config, &made);
            if (status < 0)
            {
                net.SetHandleAsInvalid();
                return status;
            }
            net.SetHandle(made);
            net.room = (SockeyeEvent*)Marshal.AllocHGlobal(RoomEvents * sizeof(SockeyeEvent));
            lock (Live) Live.Add(made, new WeakReference(net));
            return status;
        }

        /// <summary>What a function that is called is given, to find its net by.</summary>
        internal IntPtr OwnedBy(SockeyeNet net)
        {
            // Weak: who is forgotten is collected, and its net is freed then.
            if (!owner.IsAllocated) owner = GCHandle.Alloc(net, GCHandleType.Weak);
            return GCHandle.ToIntPtr(owner);
        }

        internal static SockeyeNet OwnerOf(IntPtr user)
        {
            return (SockeyeNet)GCHandle.FromIntPtr(user).Target;
        }

        /// <summary>sockeye_shutdown; OK when it is freed already.</summary>
        internal SockeyeStatus Shutdown(int drainMs)
        {
            try
            {
                return (SockeyeStatus)Native.sockeye_shutdown(this, drainMs);
            }
            catch (ObjectDisposedException)
            {
                return SockeyeStatus.Ok;
            }
        }

        protected override bool ReleaseHandle()
        {
            // The host's functions first: what an end has to tell is not for a finalizer's thread.
            Native.set_log_at_end(handle, IntPtr.Zero, IntPtr.Zero, 0);
            Native.set_admit_at_end(handle, IntPtr.Zero, IntPtr.Zero);
            for (uint queue = 0; queue < 64; queue++)
                if (Native.set_callback_at_end(handle, queue, IntPtr.Zero, IntPtr.Zero) < 0) break;
            // Out of the list before another net may have its place.
            lock (Live) Live.Remove(handle);
            if (Native.sockeye_free(handle) < 0) return false;
            if (owner.IsAllocated) owner.Free();
            Marshal.FreeHGlobal((IntPtr)room);
            return true;
        }

        private static void EndAll()
        {
            var all = new List<SockeyeNetHandle>();
            lock (Live)
                foreach (WeakReference each in Live.Values)
                    all.Add((SockeyeNetHandle)each.Target);
            foreach (SockeyeNetHandle net in all)
            {
                if (net == null) continue;
                net.Shutdown(0); // whoever waits in a poll comes back: a call inside keeps it alive
                net.Dispose();
            }
        }
    }

    /// <summary>
    /// A buffer of the library: acquired to be written and sent without a copy, or the payload of
    /// an event, held beyond it. It may outlive its net. Released once, by Dispose.
    /// </summary>
    public sealed unsafe class SockeyeBufferHandle : SafeHandle
    {
        private SockeyeBuffer buffer;

        internal SockeyeBufferHandle(SockeyeBuffer taken) : base(IntPtr.Zero, true)
        {
            buffer = taken;
            SetHandle((IntPtr)(long)taken.Id);
        }

        public override bool IsInvalid { get { return handle == IntPtr.Zero; } }

        /// <summary>The bytes, until Dispose. A held payload is only for reading.</summary>
        public byte* Data { get { return IsClosed ? null : buffer.Data; } }
        public int Capacity { get { return IsClosed ? 0 : (int)buffer.Capacity; } }
        public ulong Id { get { return IsClosed ? 0 : buffer.Id; } }

        /// <summary>Bytes in use: a held payload's size, else what was set.</summary>
        public int Length
        {
            get { return IsClosed ? 0 : (int)buffer.DataLen; }
            set
            {
                if (value < 0 || value > Capacity) throw new ArgumentOutOfRangeException("value");
                buffer.DataLen = (uint)value;
            }
        }

        /// <summary>Puts bytes behind those in use. False: there is no room for them.</summary>
        public bool Append(byte[] bytes)
        {
            if (bytes == null || bytes.Length > Capacity - Length) return false;
            Marshal.Copy(bytes, 0, (IntPtr)(Data + Length), bytes.Length);
            Length += bytes.Length;
            return true;
        }

        public byte[] ToArray() { return Memory.Copy(Data, Length); }

        protected override bool ReleaseHandle()
        {
            SockeyeBuffer last = buffer;
            return Native.sockeye_buffer_release(&last) >= 0;
        }
    }
}
