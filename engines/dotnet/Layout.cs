// What has to be true before anything else is: this file's structs are the library's.

using System;

namespace Sockeye
{
    /// <summary>
    /// Compares the library that was found with what these files were written for, once for each
    /// domain, before the first net is made. It does not look at numbers alone: a small net without
    /// threads and sockets writes each kind of struct, and the values have to be where they belong.
    /// </summary>
    public static unsafe partial class SockeyeLayout
    {
        private static readonly object Once = new object();
        private static bool done;

        /// <summary>Throws a SockeyeException that says what does not fit.</summary>
        public static void Check()
        {
            lock (Once)
            {
                if (done) return;
                CheckVersion();
                CheckInputs();
                CheckDefaults();
                CheckModel();
                CheckAddress();
                SockeyeConfig config = SockeyeConfig.Default;
                config.Workers = 0;
                config.Drive = SockeyeDrive.Host;
                SockeyeNetHandle net;
                SockeyeStatus status = SockeyeNetHandle.Open(&config, out net);
                if (status < 0) throw SockeyeException.Last(status, "a net to check with");
                using (net)
                {
                    CheckFacts(net);
                    CheckBuffer(net);
                    CheckEvents(net);
                }
                done = true;
            }
        }

        /// <summary>The library wrote a whole struct of ours.</summary>
        internal static void CheckSize(string name, uint written, int ours)
        {
            Demand(written == (uint)ours, name + " is of another size");
        }

        private static void Demand(bool right, string wrong)
        {
            if (right) return;
            throw new SockeyeException(SockeyeStatus.ErrUnsupported,
                "Sockeye: the library " + SockeyeText.Version + " does not fit these sources: " +
                wrong);
        }

        private static void CheckVersion()
        {
            Demand(IntPtr.Size == 8, "it is for 64-bit programs");
            // Before 1.0 a minor version may change what a major one may later.
            string[] version = SockeyeText.Version.Split('.');
            uint major = Native.VersionMajor, minor = Native.VersionMinor;
            Demand(version[0] == major.ToString()
                && (major > 0 || version[1] == minor.ToString()),
                major + "." + minor + " is needed");
            uint abi = Native.sockeye_abi_version();
            Demand(abi >= Native.AbiVersion,
                "its binary interface is " + abi + ", " + Native.AbiVersion + " is needed");
        }

        /// <summary>The defaults are where they belong.</summary>
        private static void CheckDefaults()
        {
            Demand(SockeyeConfig.Default.QueueMaxBytes != 0, "SockeyeConfig");
            SockeyeEndpoint endpoint = SockeyeEndpoint.Default;
            Demand(endpoint.Framing.LengthBytes != 0 && endpoint.V6only != 0, "SockeyeEndpoint");
        }

        private static void CheckModel()
        {
            SockeyeModelInfo model;
            int size = sizeof(SockeyeModelInfo);
            Native.sockeye_model_probe((uint)SockeyeModel.Poll, &model, (UIntPtr)size);
            CheckSize("SockeyeModelInfo", model.StructSize, size);
            Demand(SockeyeText.Read(model.Name) == "poll" && model.Reason[0] != 0,
                "SockeyeModelInfo");
        }

        private static void CheckAddress()
        {
            SockeyeAddress four, six;
            bool read = SockeyeAddress.TryParse("1.2.3.4:258", out four)
                & SockeyeAddress.TryParse("[102:304::f]:7777", out six);
            Demand(read && four.Family == 4 && four.Port == 258 && four.Bytes[0] == 1
                && four.Bytes[3] == 4 && six.Family == 6 && six.Port == 7777 && six.Bytes[0] == 1
                && six.Bytes[15] == 15 && six.ScopeId == 0, "SockeyeAddress");
        }

        private static void CheckFacts(SockeyeNetHandle net)
        {
            SockeyeNetInfo info;
            Native.sockeye_net_get_info(net, &info, (UIntPtr)sizeof(SockeyeNetInfo));
            CheckSize("SockeyeNetInfo", info.StructSize, sizeof(SockeyeNetInfo));
            Demand(info.Queues == 1 && info.ModelReason[0] != 0 && info.DriveReason[0] != 0,
                "SockeyeNetInfo");
            SockeyeNetStats stats;
            Native.sockeye_net_get_stats(net, &stats, (UIntPtr)sizeof(SockeyeNetStats));
            CheckSize("SockeyeNetStats", stats.StructSize, sizeof(SockeyeNetStats));
            // That of no connection at all: what is asked is the size.
            SockeyeConnStats conn;
            Demand(Native.sockeye_conns_get_stats(net, null, UIntPtr.Zero, &conn,
                (UIntPtr)sizeof(SockeyeConnStats)) == 0, "SockeyeConnStats");
            Demand(sizeof(SockeyeListenerStats) == sizeof(SockeyeConnStats),
                "SockeyeListenerStats");
        }

        private static void CheckBuffer(SockeyeNetHandle net)
        {
            SockeyeBuffer buffer;
            int status = Native.sockeye_buffer_acquire(net, (UIntPtr)1000, &buffer);
            Demand(status >= 0 && buffer.Data != null && buffer.DataLen == 0
                && buffer.Capacity >= 1000 && buffer.Id != 0, "SockeyeBuffer");
            Native.sockeye_buffer_release(&buffer);
        }

        /// <summary>Two events: the second one shows how far apart they are.</summary>
        private static void CheckEvents(SockeyeNetHandle net)
        {
            const ulong Detail = 0x1122334455667788, User = 0x99AABBCCDDEEFF00;
            Native.sockeye_post(net, 0, 0, 0);
            Native.sockeye_post(net, 0, Detail, User);
            int count = Native.sockeye_poll_events(net, net.Room, 2, 0);
            SockeyeEvent* second = net.Room + 1;
            Demand(count == 2 && second->Kind == SockeyeEventKind.Posted && second->Detail == Detail
                && second->UserData == User && second->Data == null && second->Conn.Id == 0,
                "SockeyeEvent");
        }
    }
}
