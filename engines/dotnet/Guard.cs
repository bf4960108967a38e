// Who may come in: rules for addresses, bans for a time, and the host's own word.

using System;
using System.Runtime.InteropServices;
#if UNITY_5_3_OR_NEWER
using AOT;
#endif

namespace Sockeye
{
    /// <summary>
    /// Whether a peer may come in. It is called on a thread of the library, or inside of a Tick of
    /// its net, and is not to wait. One that throws has refused.
    /// </summary>
    public delegate bool SockeyeAdmitHandler(SockeyeListener door, SockeyeAddress peer);

    /// <summary>
    /// The guard of one net. Its calls may be made on any thread while nobody disposes that; it has
    /// nothing of its own, so two of one net are the same.
    /// </summary>
    public sealed unsafe class SockeyeDoorkeeper
    {
        private static readonly SockeyeAdmitCallback AdmitFunction = OnAdmit;
        private static readonly IntPtr AdmitPointer =
            Marshal.GetFunctionPointerForDelegate(AdmitFunction);

        private readonly SockeyeNet net;

        public SockeyeDoorkeeper(SockeyeNet net)
        {
            if (net == null) throw new ArgumentNullException("net");
            this.net = net;
        }

        /// <summary>A rule for all addresses that begin as this one does.</summary>
        public static SockeyeGuardRule Deny(SockeyeAddress address, int bits)
        {
            return Rule(address, bits, SockeyeGuardAction.Deny);
        }

        public static SockeyeGuardRule Allow(SockeyeAddress address, int bits)
        {
            return Rule(address, bits, SockeyeGuardAction.Allow);
        }

        private static SockeyeGuardRule Rule(
            SockeyeAddress address, int bits, SockeyeGuardAction action)
        {
            SockeyeGuardRule rule = new SockeyeGuardRule();
            rule.Address = address;
            rule.PrefixBits = (uint)bits;
            rule.Action = action;
            return rule;
        }

        /// <summary>
        /// Replaces all rules at once. SockeyeText.LastError says which one is wrong, if one is;
        /// then the old ones stay.
        /// </summary>
        public SockeyeStatus SetRules(params SockeyeGuardRule[] rules)
        {
            if (net.IsDisposed) return SockeyeStatus.ErrShutdown;
            int count = rules == null ? 0 : rules.Length;
            fixed (SockeyeGuardRule* first = rules)
                return (SockeyeStatus)Native.sockeye_guard_set(
                    net.Handle, first, (UIntPtr)count);
        }

        /// <summary>Bans the first bits of an address for so long; zero lifts the ban.</summary>
        public SockeyeStatus Ban(SockeyeAddress address, int bits, TimeSpan time)
        {
            if (net.IsDisposed) return SockeyeStatus.ErrShutdown;
            ulong ms = (ulong)Math.Max(0, time.TotalMilliseconds);
            return (SockeyeStatus)Native.sockeye_guard_ban(net.Handle, &address, (uint)bits, ms);
        }

        /// <summary>What was refused, by reason.</summary>
        public SockeyeStatus GetStats(out SockeyeGuardStats stats)
        {
            stats = default(SockeyeGuardStats);
            if (net.IsDisposed) return SockeyeStatus.ErrShutdown;
            fixed (SockeyeGuardStats* to = &stats)
                return (SockeyeStatus)Native.sockeye_guard_get_stats(
                    net.Handle, to, (UIntPtr)sizeof(SockeyeGuardStats));
        }

        /// <summary>
        /// Asks about each peer that rules, bans and bounds let in. The net keeps the function;
        /// null removes the function, and when that returns it does not run.
        /// </summary>
        public SockeyeStatus SetAdmit(SockeyeAdmitHandler admit)
        {
            if (net.IsDisposed) return SockeyeStatus.ErrShutdown;
            if (admit != null) net.Admit = admit;
            SockeyeStatus status = (SockeyeStatus)Native.sockeye_set_admit(net.Handle,
                admit == null ? IntPtr.Zero : AdmitPointer,
                admit == null ? IntPtr.Zero : net.Handle.OwnedBy(net));
            if (admit == null && status >= 0) net.Admit = null;
            return status;
        }

        [MonoPInvokeCallback(typeof(SockeyeAdmitCallback))]
        private static uint OnAdmit(IntPtr user, SockeyeListener door, SockeyeAddress* peer)
        {
            try
            {
                SockeyeNet own = SockeyeNetHandle.OwnerOf(user);
                SockeyeAdmitHandler admit = own == null ? null : own.Admit;
                bool may = admit != null && admit(door, *peer);
                return (uint)(may ? SockeyeAdmitAnswer.Admit : SockeyeAdmitAnswer.Refuse);
            }
            catch (Exception)
            {
                // An exception must not pass through the library.
                return (uint)SockeyeAdmitAnswer.Refuse;
            }
        }
    }
}
