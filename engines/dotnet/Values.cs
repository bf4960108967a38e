// What the classes of Sockeye.cs answer and give: handles by value, words, one event.

using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Sockeye
{
    /// <summary>Why something could not be made, in the library's words.</summary>
    public sealed class SockeyeException : Exception
    {
        public SockeyeException(SockeyeStatus status, string words) : base(words)
        {
            Status = status;
        }

        public SockeyeStatus Status { get; private set; }

        /// <summary>With what the library says of this thread's last refusal.</summary>
        internal static SockeyeException Last(SockeyeStatus status, string what)
        {
            string words = SockeyeText.LastError;
            if (words.Length == 0) words = SockeyeText.Of(status);
            return new SockeyeException(status, "Sockeye: " + what + ": " + words);
        }
    }

    public partial struct SockeyeConn : IEquatable<SockeyeConn>
    {
        public bool IsNone { get { return Id == 0; } }
        /// <summary>A small number for arrays of the host's, reused after the batch with CLOSED.
        /// </summary>
        public int Index { get { return (int)(Id & 0xFFFFFF); } }

        public bool Equals(SockeyeConn other) { return Id == other.Id; }
        public override bool Equals(object other)
        {
            return other is SockeyeConn && Equals((SockeyeConn)other);
        }
        public override int GetHashCode() { return Id.GetHashCode(); }
        public override string ToString() { return "conn " + Id.ToString("x"); }
        public static bool operator ==(SockeyeConn a, SockeyeConn b) { return a.Id == b.Id; }
        public static bool operator !=(SockeyeConn a, SockeyeConn b) { return a.Id != b.Id; }
    }

    public partial struct SockeyeListener
    {
        public bool IsNone { get { return Id == 0; } }
    }

    /// <summary>Two are equal that name the same peer, whatever address of ours it asked.</summary>
    public unsafe partial struct SockeyeAddress : IEquatable<SockeyeAddress>
    {
        public bool Equals(SockeyeAddress other)
        {
            bool same = Family == other.Family && Port == other.Port && ScopeId == other.ScopeId;
            fixed (byte* bytes = Bytes)
            {
                for (int at = 0; at < 16; at++) same &= bytes[at] == other.Bytes[at];
            }
            return same;
        }
        public override bool Equals(object other)
        {
            return other is SockeyeAddress && Equals((SockeyeAddress)other);
        }
        public override int GetHashCode()
        {
            int hash = (Family << 16) ^ Port ^ (int)ScopeId;
            fixed (byte* bytes = Bytes)
            {
                for (int at = 0; at < 16; at++) hash = unchecked(hash * 31 + bytes[at]);
            }
            return hash;
        }
        /// <summary>Reads "127.0.0.1:7777", "[::1]:7777", or without a port. False: none.</summary>
        public static bool TryParse(string text, out SockeyeAddress address)
        {
            address = default(SockeyeAddress);
            fixed (byte* from = SockeyeText.Bytes(text))
            fixed (SockeyeAddress* to = &address)
            {
                return Native.sockeye_address_parse(from, to) >= 0;
            }
        }

        public override string ToString()
        {
            const int Enough = 64;
            byte* text = stackalloc byte[Enough];
            fixed (SockeyeAddress* self = &this)
            {
                int length = Native.sockeye_address_format(self, text, (UIntPtr)Enough);
                return length < 0 ? "none" : SockeyeText.Read(text);
            }
        }
    }

    /// <summary>The library's words.</summary>
    public static unsafe class SockeyeText
    {
        public static string Version { get { return Read(Native.sockeye_version()); } }
        public static string LastError { get { return Read(Native.sockeye_last_error()); } }
        public static string Of(SockeyeStatus status)
        {
            return Read(Native.sockeye_status_text((int)status));
        }
        public static string Of(SockeyeCause cause)
        {
            return Read(Native.sockeye_cause_text((int)cause));
        }
        public static string Of(SockeyeModel model)
        {
            return Read(Native.sockeye_model_name((uint)model));
        }
        /// <summary>The operating system's words for an `OsError`.</summary>
        public static string OfOsError(int code)
        {
            const int Enough = 256;
            byte* text = stackalloc byte[Enough];
            Native.sockeye_os_error_text(code, text, (UIntPtr)Enough);
            return Read(text);
        }

        /// <summary>UTF-8 with a NUL, as the library takes it; null stays null.</summary>
        public static byte[] Bytes(string text)
        {
            return text == null ? null : Encoding.UTF8.GetBytes(text + "\0");
        }

        public static string Read(byte* text)
        {
            if (text == null) return "";
            int length = 0;
            while (text[length] != 0) length++;
            return length == 0 ? "" : Encoding.UTF8.GetString(text, length);
        }
    }

    internal static unsafe class Memory
    {
        internal static byte[] Copy(byte* from, int length)
        {
            byte[] copy = new byte[length];
            if (length > 0) Marshal.Copy((IntPtr)from, copy, 0, length);
            return copy;
        }
    }

    /// <summary>
    /// One event, borrowed: it may be asked until the function returns that it was given to, and
    /// throws afterwards. What is to be kept is copied (ToArray) or held (TryHold).
    /// </summary>
    public unsafe struct SockeyeEventRef
    {
        private readonly SockeyeNet net;
        private readonly SockeyeEvent* raw;
        private readonly long serial;

        internal SockeyeEventRef(SockeyeNet net, SockeyeEvent* raw, long serial)
        {
            this.net = net;
            this.raw = raw;
            this.serial = serial;
        }

        public SockeyeEvent* Raw
        {
            get
            {
                if (net == null || net.Serial != serial)
                    throw new InvalidOperationException("this event's time is over");
                return raw;
            }
        }
        public SockeyeEventKind Kind { get { return Raw->Kind; } }
        public SockeyeConn Conn { get { return Raw->Conn; } }
        public SockeyeListener Listener { get { return Raw->Listener; } }
        /// <summary>The number of SetUserData, of the endpoint or of the poster.</summary>
        public ulong UserData { get { return Raw->UserData; } }
        public ulong Detail { get { return Raw->Detail; } }
        public SockeyeCause Cause { get { return Raw->Cause; } }
        public string CauseText { get { return SockeyeText.Of(Raw->Cause); } }
        public int OsError { get { return Raw->OsError; } }
        public bool IsTruncated { get { return (Raw->Flags & Native.FlagTruncated) != 0; } }

        /// <summary>The payload, where it lies; null when there is none.</summary>
        public byte* Data { get { return Raw->Data; } }
        public int Length { get { return (int)Raw->DataLen; } }
        public byte this[int at]
        {
            get
            {
                if ((uint)at >= (uint)Length) throw new IndexOutOfRangeException();
                return Raw->Data[at];
            }
        }
        public byte[] ToArray() { return Memory.Copy(Data, Length); }
        /// <summary>Copies the payload to an array of the host's. False: it does not fit.</summary>
        public bool TryCopyTo(byte[] to, int at)
        {
            if (to == null || at < 0 || at > to.Length || Length > to.Length - at) return false;
            if (Length > 0) Marshal.Copy((IntPtr)Data, to, at, Length);
            return true;
        }
        public string Utf8
        {
            get { return Length == 0 ? "" : Encoding.UTF8.GetString(Data, Length); }
        }
#if SOCKEYE_SPAN || NETCOREAPP || NETSTANDARD2_1_OR_GREATER || UNITY_2021_2_OR_NEWER
        /// <summary>The payload, where it lies.</summary>
        public ReadOnlySpan<byte> Span { get { return new ReadOnlySpan<byte>(Data, Length); } }
#endif
        /// <summary>The sender of a DATAGRAM.</summary>
        public SockeyeAddress From
        {
            get
            {
                SockeyeAddress* from = Native.sockeye_event_address(Raw);
                return from == null ? default(SockeyeAddress) : *from;
            }
        }
        /// <summary>Keeps the payload beyond the event, mostly without a copy.</summary>
        public SockeyeStatus TryHold(out SockeyeBufferHandle held)
        {
            return net.Hold(Raw, out held);
        }
    }
}
