// Servers and clients on real connections, in both directions.

using System;
using System.Collections.Generic;
using System.Linq;
using Sockeye;

public static unsafe class LiveTests
{
    private const string Any = "tcp://127.0.0.1:0?frame=u32be";

    public static string UrlOf(SockeyeServer server)
    {
        return "tcp://127.0.0.1:" + server.Port + "?frame=u32be";
    }

    /// <summary>A server and a client of it, which are connected.</summary>
    public static void Pair(
        out SockeyeServer server, out SockeyeClient client, out SockeyeConn accepted,
        SockeyeEndpoint? ofServer = null, SockeyeEndpoint? ofClient = null)
    {
        SockeyeConn found = default(SockeyeConn);
        SockeyeHandler opened = e => found = e.Conn;
        SockeyeServer made = new SockeyeServer(Any, null, ofServer);
        SockeyeClient other = new SockeyeClient(UrlOf(made), null, ofClient);
        made.Opened += opened;
        Check.Until(() => !found.IsNone && other.IsOpen, "a connection", made, other);
        made.Opened -= opened;
        server = made;
        client = other;
        accepted = found;
    }

    public static void ClientOfCServer(string echo)
    {
        using (var peer = new Peer(echo, Any))
        {
            string url = "tcp://127.0.0.1:" + peer.ReadLine().Split(' ')[1] + "?frame=u32be";
            int[] sizes = { 1, 0, 3, 65536, 17, 200000, 4095, 4096, 0, 2 };
            var answers = new List<byte[]>();
            SockeyeCause cause = SockeyeCause.None;
            using (var client = new SockeyeClient(url))
            {
                client.Message += e => answers.Add(e.ToArray());
                client.Closed += e => cause = e.Cause;
                for (int i = 0; i < 50; i++) // also before it is open
                    Check.Done(client.Send(Check.Bytes(sizes[i % 10] / (1 + i / 10), i)), "send");
                Check.Until(() => answers.Count == 50, "50 answers", client);
                for (int i = 0; i < 50; i++)
                    Check.Same(Check.Bytes(sizes[i % 10] / (1 + i / 10), i), answers[i], "answer");
                Check.Done(client.Close(), "close");
                Check.Until(() => cause != SockeyeCause.None, "Closed", client);
                Check.Equal(SockeyeCause.Host, cause, "the cause");
                Check.That(!client.IsOpen && client.Conn.IsNone, "it knows that it is closed");
                Check.Equal("closed: closed by the peer", peer.ReadLine(), "what the server said");
                // Once more, and now the server ends.
                cause = SockeyeCause.None;
                Check.Done(client.Connect(url), "connect again");
                Check.Equal(SockeyeStatus.ErrBusy, client.Connect(url), "a second connect");
                Check.Until(() => client.IsOpen, "open again", client);
                peer.EndInput();
                Check.Until(() => cause != SockeyeCause.None, "the server's end", client);
                Check.That(cause == SockeyeCause.Peer || cause == SockeyeCause.Reset,
                    "the server ended it");
                Check.Until(() => peer.HasExited, "the server's exit", client);
                Check.Equal(0, peer.ExitCode, "its exit code");
            }
        }
    }

    public static void ServerOfManyClients()
    {
        const int Clients = 40, Messages = 50;
        var all = new List<SockeyeNet>();
        var counts = new int[Clients];
        var wrong = new List<int>();
        int opened = 0, closed = 0;
        using (var server = new SockeyeServer(Any))
        {
            server.Opened += e => Check.Done(server.SetUserData(e.Conn, (ulong)++opened), "number");
            server.Message += e =>
            {
                Check.That(e.UserData > 0, "the number is on its events");
                Check.Done(server.Send(e.Conn, e), "echo");
            };
            server.Closed += e => closed++;
            all.Add(server);
            for (int c = 0; c < Clients; c++)
            {
                int own = c;
                var client = new SockeyeClient(UrlOf(server));
                client.Message += e =>
                {
                    if (!e.ToArray().SequenceEqual(Check.Bytes(e.Length, own * 7 + counts[own])))
                        wrong.Add(own);
                    if (++counts[own] == Messages) client.Close();
                };
                for (int m = 0; m < Messages; m++)
                    Check.Done(client.Send(Check.Bytes(m * 13, own * 7 + m)), "send");
                all.Add(client);
            }
            Check.Until(() => closed == Clients, "the end of all clients", all.ToArray());
            Check.Equal(0, wrong.Count, "wrong answers");
            Check.That(counts.All(count => count == Messages), "all were answered");
            Check.Equal(Clients, opened, "connections");
            SockeyeNetStats stats;
            Check.Done(server.GetStats(out stats), "stats");
            Check.Equal((ulong)Clients, stats.Accepted, "accepted");
            Check.Equal((ulong)(Clients * Messages), stats.ReceivedMessages, "messages");
        }
        foreach (SockeyeNet net in all) net.Dispose();
    }

    public static void ServerOfCClient(string program)
    {
        var causes = new List<SockeyeCause>();
        using (var server = new SockeyeServer(Any))
        using (var peer = new Peer(program, UrlOf(server)))
        {
            server.Message += e => Check.Done(server.Send(e.Conn, e), "echo");
            server.Closed += e => causes.Add(e.Cause);
            Check.Until(() => peer.HasExited && causes.Count == 3, "the client's end", server);
            Check.Equal(0, peer.ExitCode, "what the C client says");
            Check.That(causes.All(cause => cause == SockeyeCause.Peer), "it ended in order");
        }
    }

    /// <summary>One message to many, and answers for each.</summary>
    public static void SendToMany()
    {
        const int Clients = 5;
        var nets = new List<SockeyeNet>();
        var conns = new SockeyeConn[Clients + 1];
        var each = new int[Clients + 1];
        int opened = 0, got = 0;
        using (var server = new SockeyeServer(Any))
        {
            server.Opened += e => conns[opened++] = e.Conn;
            nets.Add(server);
            for (int c = 0; c < Clients; c++)
            {
                var client = new SockeyeClient(UrlOf(server));
                client.Message += e => got += e.Utf8 == "to all" ? 1 : 100;
                nets.Add(client);
            }
            Check.Until(() => opened == Clients, "all connections", nets.ToArray());
            conns[Clients].Id = 0x7777777777777777;
            byte[] text = System.Text.Encoding.UTF8.GetBytes("-to all-");
            int taken = server.SendMany(conns, Clients + 1, text, 1, 6, each);
            Check.Equal(Clients, taken, "how many took it");
            Check.Equal((int)SockeyeStatus.ErrStale, each[Clients], "the made-up one's answer");
            Check.Until(() => got == Clients, "all have it", nets.ToArray());
        }
        foreach (SockeyeNet net in nets) net.Dispose();
    }

    public static void Datagrams()
    {
        using (var a = new SockeyeServer("udp://127.0.0.1:0"))
        using (var b = new SockeyeServer("udp://127.0.0.1:0"))
        {
            SockeyeAddress to, from = default(SockeyeAddress);
            string got = null;
            Check.That(SockeyeAddress.TryParse("127.0.0.1:" + b.Port, out to), "an address");
            Check.Equal("127.0.0.1:" + b.Port, to.ToString(), "the address in words");
            b.Datagram += e =>
            {
                from = e.From;
                got = e.Utf8;
            };
            byte[] text = { 104, 105 };
            Check.Until(() =>
            {
                if (got == null) Check.Done(a.SendTo(a.Door, to, text, 0, 2), "send to");
                return got != null;
            }, "the datagram", a, b);
            Check.Equal("hi", got, "the datagram");
            Check.Equal(a.Port, (int)from.Port, "its sender");
        }
    }

    /// <summary>Several connections out of one net, each with functions of its own.</summary>
    public static void LinksOfOneNet()
    {
        const int Links = 20, Messages = 10;
        int opened = 0, closed = 0, all = 0;
        var got = new int[Links];
        var wrong = new List<int>();
        using (var server = new SockeyeServer(Any))
        using (var net = new SockeyeNet())
        {
            server.Message += e => Check.Done(server.Send(e.Conn, e), "echo");
            net.Message += e => all++;
            var links = new List<SockeyeLink>();
            for (int l = 0; l < Links; l++)
            {
                int own = l;
                var link = new SockeyeLink(net);
                link.Opened += e => opened++;
                link.Message += e =>
                {
                    if (e.Conn != link.Conn || e[0] != own) wrong.Add(own);
                    if (++got[own] == Messages) Check.Done(link.Close(), "close");
                };
                link.Closed += e => closed++;
                Check.Done(link.Connect(UrlOf(server)), "connect");
                Check.Equal(SockeyeStatus.ErrBusy, link.Connect(UrlOf(server)), "a second one");
                for (int m = 0; m < Messages; m++)
                    Check.Done(link.Send(new[] { (byte)l, (byte)m }), "send");
                links.Add(link);
            }
            Check.Until(() => closed == Links, "the end of all links", net, server);
            Check.Equal(Links, opened, "links opened");
            Check.Equal(0, wrong.Count, "messages of others");
            Check.That(got.All(count => count == Messages), "all were answered");
            // The last message of each closes it: the net's own function is not called for that.
            Check.Equal(Links * (Messages - 1), all, "what the net saw");
            Check.Done(links[0].Connect(UrlOf(server)), "once more");
            Check.Until(() => links[0].IsOpen, "open again", net, server);
        }
    }

    /// <summary>Only the newest of each key arrives, in the older one's place or at the end.
    /// </summary>
    public static void KeyedMessages()
    {
        SockeyeConfig config = SockeyeConfig.Default;
        config.Flush = SockeyeFlushMode.Manual; // all of them wait for one another
        var got = new List<string>();
        using (var server = new SockeyeServer(Any))
        using (var client = new SockeyeClient(UrlOf(server), config))
        {
            server.Message += e => got.Add(e.Utf8);
            Check.Until(() => client.IsOpen, "a connection", server, client);
            Action<ulong, string, bool> send = (key, text, atEnd) =>
            {
                byte[] bytes = System.Text.Encoding.UTF8.GetBytes("-" + text);
                Check.Done(
                    client.SendKeyed(client.Conn, key, bytes, 1, text.Length, atEnd), text);
            };
            send(1, "a1", false);
            send(2, "b1", false);
            send(0, "c1", false);
            send(1, "a2", false);
            send(2, "b2", true);
            Check.Done(client.Flush(), "flush");
            Check.Until(() => got.Count == 3, "three messages", server, client);
            Check.Equal("a2 c1 b2", string.Join(" ", got), "what arrived");
        }
    }

    /// <summary>One send to all in a room but one.</summary>
    public static void Rooms()
    {
        var got = new List<string>();
        using (var server = new SockeyeServer(Any))
        using (var net = new SockeyeNet())
        {
            var room = new SockeyeRoom(server);
            var accepted = new List<SockeyeConn>();
            server.Opened += e => accepted.Add(e.Conn);
            for (int i = 0; i < 3; i++)
            {
                var link = new SockeyeLink(net);
                string name = i.ToString();
                link.Message += e => got.Add(name + e.Utf8);
                Check.Done(link.Connect(UrlOf(server)), "connect");
                Check.Until(() => accepted.Count == i + 1, "a member", server, net);
                Check.Done(room.Add(accepted[i]), "add");
            }
            byte[] hello = System.Text.Encoding.UTF8.GetBytes("-hello");
            Check.Done(room.Send(hello, 1, 5, accepted[1]), "send");
            Check.Done(room.Remove(accepted[0]), "remove");
            Check.Done(room.Send(hello), "send");
            Check.Until(() => got.Count == 4, "four messages", server, net);
            Check.Equal("0hello 1-hello 2-hello 2hello",
                string.Join(" ", got.OrderBy(text => text, StringComparer.Ordinal)), "what came");
            SockeyeGroupStats stats;
            Check.Done(room.GetStats(out stats), "stats");
            Check.Equal(2, room.Count, "members");
            Check.Equal(4ul, stats.Delivered, "delivered");
            Check.Done(room.Destroy(), "destroy");
            Check.Equal(SockeyeStatus.ErrStale, room.Send(hello), "a room that is gone");
        }
    }

    private static SockeyeDoorkeeper KeeperOf(SockeyeNet net)
    {
        var keeper = new SockeyeDoorkeeper(net);
        int most = 1;
        // Nothing here refers to it any more: the net keeps it.
        Check.Done(keeper.SetAdmit((door, peer) =>
        {
            if (door.IsNone || peer.Family != 4) throw new InvalidOperationException();
            return most-- > 0;
        }), "admit");
        return keeper;
    }

    /// <summary>Rules, a ban, and a function that lets one in and no more.</summary>
    public static void TheDoorkeeper()
    {
        SockeyeAddress local;
        Check.That(SockeyeAddress.TryParse("127.0.0.1", out local), "an address");
        int opened = 0, closed = 0;
        SockeyeGuardStats stats = default(SockeyeGuardStats);
        using (var server = new SockeyeServer(Any))
        using (var net = new SockeyeNet())
        {
            server.Opened += e => opened++;
            net.Closed += e => closed++;
            SockeyeDoorkeeper keeper = KeeperOf(server);
            Action<string, Func<bool>> knock = (what, done) =>
            {
                SockeyeConn conn;
                Check.Done(net.Connect(UrlOf(server), null, out conn), "connect");
                Check.Until(() => keeper.GetStats(out stats) >= 0 && done(), what, server, net);
            };
            GC.Collect();
            GC.WaitForPendingFinalizers();
            knock("the first", () => opened == 1);
            knock("one too many", () => stats.Admit == 1);
            Check.Done(keeper.SetAdmit(null), "no more admit");
            knock("anybody", () => opened == 2);
            Check.Done(keeper.SetRules(SockeyeDoorkeeper.Deny(local, 32)), "rules");
            knock("who is denied", () => stats.Rule == 1 && stats.Rules == 1);
            Check.Equal(SockeyeStatus.ErrInvalid,
                keeper.SetRules(SockeyeDoorkeeper.Allow(local, 33)), "33 bits");
            Check.Done(keeper.SetRules(), "no rules");
            Check.Done(keeper.Ban(local, 32, TimeSpan.FromMinutes(10)), "ban");
            knock("who is banned", () => stats.Ban == 1);
            Check.Done(keeper.Ban(local, 32, TimeSpan.Zero), "lift");
            Check.Done(keeper.SetAdmit((door, peer) => { throw new FormatException(); }), "admit");
            knock("one that throws", () => stats.Admit == 2);
            Check.Equal(2, opened, "opened");
            Check.Until(() => closed == 4, "the end of those that were refused", server, net);
        }
    }

    /// <summary>What a net counts, as text, at a port, and as numbers.</summary>
    public static void Metrics()
    {
        SockeyeConfig config = SockeyeConfig.Default;
        config.Histograms = 1;
        using (var net = new SockeyeNet(config))
        {
            SockeyeListener door;
            SockeyeListenerInfo info;
            Check.Done(net.Listen("tcp://127.0.0.1:0?frame=u32be", null, out door), "listen");
            Check.Done(net.GetInfo(door, out info), "info");
            var link = new SockeyeLink(net);
            int messages = 0;
            net.Message += e => { if (e.Conn != link.Conn) messages++; };
            Check.Done(link.Connect("tcp://127.0.0.1:" + info.Port + "?frame=u32be"), "connect");
            Check.Done(link.Send(new byte[] { 1 }), "send");
            Check.Until(() => messages == 1, "a message", net);
            SockeyeHistogram polls;
            Check.Done(net.GetHistogram(SockeyeHistogramKind.Poll, out polls), "a histogram");
            Check.Equal(1ul, polls.Count, "messages counted");
            Check.Equal(1000ul, polls.UpperNs[0], "the first bound");
            SockeyeQueueStats waiting;
            Check.Done(net.GetStats(0, out waiting), "a queue");
            Check.Equal(0ul, waiting.Events, "events that wait");
            var ways = new SockeyeTcpInfo[1];
            SockeyeTcpInfo way;
            bool known = net.GetTcpInfo(link.Conn, out way) >= 0;
            Check.Equal(known ? 1 : 0, net.GetTcpInfo(new[] { link.Conn }, 1, ways), "ways");
            Check.Equal(way.StructSize, ways[0].StructSize, "the same");
            Check.That(net.WriteMetrics().Contains("\nsockeye_connections 2\n"), "the text");
            int port;
            Check.Done(net.ListenMetrics("tcp://127.0.0.1:0", out port), "a port");
            using (var scraper = new System.Net.WebClient())
            {
                string text = scraper.DownloadString("http://127.0.0.1:" + port + "/metrics");
                Check.That(text.Contains("\nsockeye_connections 2\n"), "the same by HTTP");
            }
            Check.Done(net.CloseMetrics(), "close");
        }
    }

    /// <summary>Without framing a stream has pieces and no messages.</summary>
    public static void BytesWithoutFraming()
    {
        var text = new System.Text.StringBuilder();
        int messages = 0;
        using (var server = new SockeyeServer("tcp://127.0.0.1:0"))
        using (var client = new SockeyeClient("tcp://127.0.0.1:" + server.Port))
        {
            server.Message += e => messages++;
            server.Bytes += e => text.Append(e.Utf8);
            Check.Done(client.Send(new byte[] { 97, 98 }), "send");
            Check.Done(client.Send(new byte[] { 99 }), "send");
            Check.Until(() => text.ToString() == "abc", "the stream", server, client);
            Check.Equal(0, messages, "messages");
        }
    }

    /// <summary>Two kinds of clients on one port: the first byte says which.</summary>
    public static void OnePortForTwo()
    {
        SockeyeEndpoint first = SockeyeEndpoint.Default;
        first.Step = 1;
        SockeyeEndpoint lines = SockeyeEndpoint.Default, frames = SockeyeEndpoint.Default;
        lines.Framing.Kind = SockeyeFramingKind.Delimiter;
        frames.Framing.Kind = SockeyeFramingKind.Length;
        frames.Framing.LengthBytes = 2;
        var got = new List<string>();
        using (var server = new SockeyeServer("tcp://127.0.0.1:0", null, first))
        using (var net = new SockeyeNet())
        {
            string url = "tcp://127.0.0.1:" + server.Port;
            server.Opened += e => Check.Done(server.Pause(e.Conn, false), "the first bytes");
            server.Bytes += e => Check.Done(
                server.Configure(e.Conn, e[0] == 0 ? frames : lines, e.ToArray()), "configure");
            server.Message += e => got.Add(e.Utf8);
            SockeyeLink typed = new SockeyeLink(net), program = new SockeyeLink(net);
            typed.Connect(url);
            program.Connect(url);
            Check.Done(typed.Send(System.Text.Encoding.UTF8.GetBytes("look\r\n")), "a line");
            Check.Until(() => got.Count == 1, "the line", server, net);
            Check.Done(program.Send(new byte[] { 0, 2, 104, 105, 0, 1, 33 }), "two frames");
            Check.Until(() => got.Count == 3, "the frames", server, net);
            Check.Equal("look hi !", string.Join(" ", got), "what arrived");
        }
    }

    /// <summary>What stands behind a close in the same batch is not told, but Closed is.</summary>
    public static void CloseInsideABatch()
    {
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn accepted;
        Pair(out server, out client, out accepted);
        using (server)
        using (client)
        {
            int got = 0, closed = 0;
            server.Message += e =>
            {
                got++;
                Check.That(server.IsLive(e.Conn), "it is open");
                Check.Done(server.Close(e.Conn), "close");
                Check.That(!server.IsLive(e.Conn), "it is closed");
            };
            server.Closed += e => closed++;
            for (int i = 0; i < 50; i++) Check.Done(client.Send(new byte[] { 1 }), "send");
            Check.Until(() => closed == 1 && !client.IsOpen, "its end", server, client);
            Check.Equal(1, got, "messages");
        }
    }

    /// <summary>A message of exactly the frame's maximum passes, a longer one does not.</summary>
    public static void TheLargestFrame()
    {
        const int Largest = 1000;
        SockeyeEndpoint small = SockeyeEndpoint.Default;
        small.Framing.FrameMaxBytes = Largest;
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn accepted;
        Pair(out server, out client, out accepted, small);
        using (server)
        using (client)
        {
            byte[] got = null;
            SockeyeCause cause = SockeyeCause.None;
            server.Message += e => got = e.ToArray();
            server.Closed += e => cause = e.Cause;
            Check.Done(client.Send(Check.Bytes(Largest, 1)), "the largest");
            Check.Until(() => got != null, "the largest", server, client);
            Check.Same(Check.Bytes(Largest, 1), got, "the largest");
            Check.Equal(SockeyeStatus.ErrTooBig,
                server.Send(accepted, Check.Bytes(Largest + 1, 1)), "one byte more, sent");
            Check.Done(client.Send(Check.Bytes(Largest + 1, 1)), "one byte more");
            Check.Until(() => cause != SockeyeCause.None, "its end", server, client);
            Check.Equal(SockeyeCause.LimitFrame, cause, "the cause");
        }
    }

    /// <summary>A peer that does not read: nothing is lost, and room is told.</summary>
    public static void AgainAndWritable()
    {
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn accepted;
        Pair(out server, out client, out accepted);
        using (server)
        using (client)
        {
            long got = 0, sent = 0;
            int writable = 0;
            ulong refused = 0;
            server.Message += e => got++;
            client.Writable += e =>
            {
                writable++;
                refused = e.Detail;
            };
            Check.Done(server.Pause(accepted), "pause");
            byte[] block = Check.Bytes(60000, 1);
            SockeyeStatus status = SockeyeStatus.Ok;
            for (int i = 0; i < 10000 && status == SockeyeStatus.Ok; i++)
            {
                status = client.Send(block);
                if (status == SockeyeStatus.Ok) sent++;
                client.Tick(); // what the system takes makes room, so it takes many
            }
            Check.Equal(SockeyeStatus.ErrAgain, status, "a send too many");
            Check.Equal(0, writable, "room while nobody reads");
            Check.Done(server.Pause(accepted, false), "resume");
            Check.Until(() => writable == 1 && got == sent, "room, and all of it", server, client);
            Check.Equal(1UL, refused, "sends refused");
            Check.Done(client.Send(block), "a send after it");
            Check.Until(() => got == sent + 1, "the last one", server, client);
        }
    }

    /// <summary>Events and sends put nothing on the heap: no collection comes of many.</summary>
    public static void NothingIsAllocated()
    {
        const int Rounds = 1000, Burst = 50;
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn accepted;
        Pair(out server, out client, out accepted);
        using (server)
        using (client)
        {
            byte[] message = Check.Bytes(100, 3);
            int got = 0, posted = 0;
            SockeyeServer own = server;
            server.Message += e => own.Send(e.Conn, e);
            client.Message += e => got++;
            server.Other += e => posted++;
            GC.Collect();
            int collections = GC.CollectionCount(0);
            for (int round = 0; round < Rounds; round++)
            {
                for (int i = 0; i < Burst; i++)
                {
                    client.Send(message);
                    server.Post(1);
                }
                int wanted = (round + 1) * Burst;
                long deadline = Environment.TickCount + Check.DeadlineMs;
                while (got < wanted || posted < wanted)
                {
                    server.Tick();
                    client.Tick(1024, 1);
                    Check.That(Environment.TickCount < deadline, "all answered in time");
                }
            }
            Check.Equal(0, GC.CollectionCount(0) - collections, "collections in 150,000 events");
        }
    }
}
