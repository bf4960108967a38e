// Old handles, callbacks, buffers, ends in any order, and what is told when nothing can be made.

using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using Sockeye;
#if UNITY_5_3_OR_NEWER
using AOT;
#endif

public static unsafe class EdgeTests
{
    private const string Any = "tcp://127.0.0.1:0?frame=u32be";

    public static void StaleHandles()
    {
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn old;
        LiveTests.Pair(out server, out client, out old);
        using (server)
        using (client)
        {
            int closed = 0;
            server.Closed += e => closed++;
            client.Close();
            Check.Until(() => closed == 1, "Closed", server, client);
            server.Tick(); // the batch with its Closed is over
            byte[] byteOf = { 1 };
            SockeyeConnInfo info;
            Check.Equal(SockeyeStatus.ErrStale, server.Send(old, byteOf), "send");
            Check.Equal(SockeyeStatus.ErrStale, server.Close(old), "close");
            Check.Equal(SockeyeStatus.ErrStale, server.Pause(old), "pause");
            Check.Equal(SockeyeStatus.ErrStale, server.SetUserData(old, 1), "user data");
            Check.Equal(SockeyeStatus.ErrStale, server.GetInfo(old, out info), "info");
            old.Id = ulong.MaxValue / 3;
            Check.Equal(SockeyeStatus.ErrStale, server.Send(old, byteOf), "a made-up one");
            Check.Equal(SockeyeStatus.ErrStale, server.Send(default(SockeyeConn), byteOf), "none");
            Check.Equal(SockeyeStatus.ErrInvalid, server.Send(old, (byte[])null), "no array");
            Check.Equal(SockeyeStatus.ErrInvalid, server.Send(old, byteOf, 1, 1), "beyond it");
        }
    }

    // --- Callbacks on the library's threads ------------------------------------------------------

    private static readonly SockeyeCallback Function = OnEvents;
    private static int told, onThread, afterEnd;
    private static bool ended;

    [MonoPInvokeCallback(typeof(SockeyeCallback))]
    private static void OnEvents(
        IntPtr user, IntPtr net, uint queue, SockeyeEvent* events, uint count)
    {
        if (Volatile.Read(ref ended)) Interlocked.Increment(ref afterEnd);
        for (uint i = 0; i < count; i++)
            if (events[i].Kind == SockeyeEventKind.Posted && events[i].UserData == 5) told++;
        onThread = Thread.CurrentThread.ManagedThreadId;
        if (user != (IntPtr)77 || queue != 0) Interlocked.Increment(ref afterEnd);
    }

    public static void CallbackFromAWorker()
    {
        told = afterEnd = 0;
        ended = false;
        using (var net = Pooled(Function))
        {
            for (int i = 0; i < 1000; i++) Check.Done(net.Post(1, 5), "post");
            Check.Until(() => Volatile.Read(ref told) == 1000, "all are told");
            Check.That(onThread != Thread.CurrentThread.ManagedThreadId, "on another thread");
            Check.Equal(0, net.Tick(), "what a tick tells meanwhile");
            Check.Equal(SockeyeStatus.ErrBusy, net.State, "the poll");
            int status = Native.sockeye_set_callback(net.Handle, 0, IntPtr.Zero, IntPtr.Zero);
            Check.Equal(0, status, "set_callback to none");
            Volatile.Write(ref ended, true);
            int others = 0;
            net.Other += e => others++;
            net.Post(1, 5);
            Check.Until(() => others == 1, "polls go on", net);
        }
        Check.Equal(0, afterEnd, "calls after it was taken away");
        GC.KeepAlive(Function);
    }

    /// <summary>
    /// The collector stops threads of the library that are in a function of ours, and a fault in
    /// one is an exception there.
    /// </summary>
    public static void CollectionsDuringCallbacks()
    {
        using (var net = Pooled(Allocating))
        {
            int before = Volatile.Read(ref allocated);
            for (int i = 0; i < 200; i++)
            {
                while (net.Post(1, 5) >= 0 && Volatile.Read(ref allocated) - before < i * 20) { }
                GC.Collect();
            }
        }
        Check.That(faults > 10, "there were faults");
        GC.KeepAlive(Allocating);
    }

    private static readonly SockeyeCallback Allocating = OnEventsAllocate;
    private static readonly byte[] Nobody = null;
    private static int allocated, faults;

    [MonoPInvokeCallback(typeof(SockeyeCallback))]
    private static void OnEventsAllocate(
        IntPtr user, IntPtr net, uint queue, SockeyeEvent* events, uint count)
    {
        for (uint i = 0; i < count; i++)
        {
            try
            {
                GC.KeepAlive(new byte[1000]);
                if (allocated % 100 == 0) GC.KeepAlive(Nobody.Length);
            }
            catch (NullReferenceException)
            {
                Interlocked.Increment(ref faults); // made of a signal to this very thread
            }
            Interlocked.Increment(ref allocated);
        }
    }

    /// <summary>A net whose worker gives events to this function.</summary>
    private static SockeyeNet Pooled(SockeyeCallback function)
    {
        SockeyeConfig config = SockeyeConfig.Default;
        config.Workers = 1;
        config.Drive = SockeyeDrive.Pool;
        var net = new SockeyeNet(config);
        int status = Native.sockeye_set_callback(
            net.Handle, 0, Marshal.GetFunctionPointerForDelegate(function), (IntPtr)77);
        Check.Equal(0, status, "set_callback");
        return net;
    }

    // --- Buffers ---------------------------------------------------------------------------------

    public static void HoldAndRelease()
    {
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn accepted;
        LiveTests.Pair(out server, out client, out accepted);
        var held = new List<SockeyeBufferHandle>();
        SockeyeEventRef late = default(SockeyeEventRef);
        server.Message += e =>
        {
            SockeyeBufferHandle one;
            Check.Done(e.TryHold(out one), "hold");
            held.Add(one);
            late = e;
        };
        for (int i = 0; i < 20; i++) client.Send(Check.Bytes(1 + i * 3000, i));
        Check.Until(() => held.Count == 20, "20 messages", server, client);
        Check.Throws<InvalidOperationException>(() => late.ToArray(), "an event after its time");
        client.Dispose();
        server.Dispose();
        for (int i = 0; i < 20; i++) // beyond the net
        {
            Check.Same(Check.Bytes(1 + i * 3000, i), held[i].ToArray(), "what was held");
            held[i].Dispose();
            held[i].Dispose();
            Check.That(held[i].Data == null && held[i].Length == 0, "it is gone");
        }
    }

    public static void AcquireAndSend()
    {
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn accepted;
        LiveTests.Pair(out server, out client, out accepted);
        using (server)
        using (client)
        {
            byte[] got = null;
            client.Message += e => got = e.ToArray();
            SockeyeBufferHandle buffer;
            Check.Done(server.TryAcquire(50000, out buffer), "acquire");
            Check.That(buffer.Append(Check.Bytes(30000, 1)), "there is room");
            Check.That(!buffer.Append(new byte[buffer.Capacity]), "there is no room for more");
            Check.Done(server.Send(accepted, buffer), "send");
            buffer.Dispose();
            Check.Equal(SockeyeStatus.ErrInvalid, server.Send(accepted, buffer), "sent again");
            Check.Until(() => got != null, "the message", server, client);
            Check.Same(Check.Bytes(30000, 1), got, "the message");
            ulong before = MemoryOf(server);
            Check.Done(server.TryAcquire(1 << 22, out buffer), "acquire");
            Check.That(MemoryOf(server) >= before + (1 << 22), "it is counted");
            buffer.Dispose();
            buffer.Dispose();
            Check.Until(() => MemoryOf(server) < before + (1 << 22), "it is given back");
#if SOCKEYE_SPAN
            byte sum = 0;
            server.Message += e => { foreach (byte each in e.Span) sum += each; };
            Check.Done(client.Send(client.Conn, new ReadOnlySpan<byte>(new byte[] { 0, 1, 2 })
                .Slice(1)), "a span");
            Check.Until(() => sum == 3, "the span", server, client);
#endif
        }
    }

    private static ulong MemoryOf(SockeyeNet net)
    {
        SockeyeNetStats stats;
        Check.Done(net.GetStats(out stats), "stats");
        return stats.MemoryBytes;
    }

    // --- Functions of the host -------------------------------------------------------------------

    public static void AFunctionThatThrowsLosesNothing()
    {
        using (var net = new SockeyeNet())
        {
            var seen = new List<ulong>();
            net.Other += e =>
            {
                seen.Add(e.Detail);
                if (e.Detail == 3) throw new Failure("on purpose");
            };
            for (ulong i = 0; i < 10; i++) net.Post(i);
            Check.Until(() => seen.Count > 0 || Ticked(net), "the first");
            Check.Until(() => seen.Count == 10, "the rest", net);
            Check.That(seen.SequenceEqual(Enumerable.Range(0, 10).Select(n => (ulong)n)), "order");
            net.Post(20);
            net.Post(21);
            Check.Until(() => net.Tick(1) == 1, "one by one");
            Check.Equal(11, seen.Count, "a budget of one");
            Check.Until(() => net.Tick(1) == 1, "the other");
        }
    }

    private static bool Ticked(SockeyeNet net)
    {
        try
        {
            net.Tick();
        }
        catch (Failure)
        {
            return true;
        }
        return false;
    }

    public static void TheLog()
    {
        var lines = new List<string>();
        SockeyeNet net = new SockeyeNet();
        int thread = 0;
        net.Log += (level, line) =>
        {
            lines.Add(level + " " + line);
            thread = Thread.CurrentThread.ManagedThreadId;
        };
        Check.Done(net.SetLog(SockeyeLogLevel.Info), "set log");
        SockeyeListener door;
        Check.Done(net.Listen(Any, null, out door), "listen");
        Check.Until(() => lines.Count > 0, "a line", net);
        Check.That(lines[0].StartsWith("Info ") && lines[0].Contains("127.0.0.1"), lines[0]);
        Check.Equal(Thread.CurrentThread.ManagedThreadId, thread, "whose thread");
        int before = lines.Count;
        net.Dispose();
        Check.That(lines.Count > before, "its end is told too");
    }

    // --- Ends ------------------------------------------------------------------------------------

    public static void DisposeTwice()
    {
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn conn;
        LiveTests.Pair(out server, out client, out conn);
        SockeyeServer own = server;
        bool disposed = false;
        server.Message += e =>
        {
            own.Dispose();
            disposed = true;
            Check.Throws<InvalidOperationException>(() => e.ToArray(), "an event after Dispose");
        };
        client.Send(new byte[] { 1 });
        client.Send(new byte[] { 2 });
        Check.Until(() => disposed, "Dispose inside of a tick", server, client);
        server.Dispose();
        client.Dispose();
        client.Dispose();
        SockeyeNetStats stats;
        SockeyeBufferHandle buffer;
        SockeyeListener door;
        Check.Equal(0, server.Tick(), "a tick");
        Check.Equal(SockeyeStatus.ErrShutdown, server.Send(conn, new byte[1]), "send");
        Check.Equal(SockeyeStatus.ErrShutdown, server.Close(conn), "close");
        Check.Equal(SockeyeStatus.ErrShutdown, server.Listen(Any, null, out door), "listen");
        Check.Equal(SockeyeStatus.ErrShutdown, server.GetStats(out stats), "stats");
        Check.Equal(SockeyeStatus.ErrShutdown, server.TryAcquire(1, out buffer), "acquire");
        Check.Equal(SockeyeStatus.ErrShutdown, server.Shutdown(0), "shutdown");
        Check.Equal(SockeyeStatus.ErrShutdown, client.Send(new byte[1]), "the client's send");
    }

    /// <summary>A shutdown tells one Closed for each connection, then that all is told.</summary>
    public static void ShutdownInOrder()
    {
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn conn;
        LiveTests.Pair(out server, out client, out conn);
        using (server)
        using (client)
        {
            var causes = new List<SockeyeCause>();
            bool got = false;
            server.Closed += e => causes.Add(e.Cause);
            client.Message += e => got = e.Utf8 == "bye";
            server.Send(conn, new byte[] { 98, 121, 101 });
            Check.Done(server.Shutdown(300), "shutdown");
            while (server.State >= 0) server.Tick();
            Check.Equal(SockeyeStatus.ErrShutdown, server.State, "the state");
            Check.That(causes.SequenceEqual(new[] { SockeyeCause.Shutdown }), "one Closed");
            Check.Until(() => got, "the last words", client);
        }
    }

    public static void FiftyLives()
    {
        Check.NoLibraryThreads("before it");
        for (int i = 0; i < 50; i++)
        {
            SockeyeServer server;
            SockeyeClient client;
            SockeyeConn conn;
            LiveTests.Pair(out server, out client, out conn);
            server.SetLog(SockeyeLogLevel.Info);
            bool got = false;
            client.Message += e => got = true;
            server.Send(conn, new byte[] { 1 });
            Check.Until(() => got, "a message", server, client);
            Check.That(Check.LibraryThreads() > 0, "there are threads");
            if (i % 2 == 0) client.Dispose();
            server.Dispose();
            client.Dispose();
            Check.NoLibraryThreads("after the end");
        }
    }

    /// <summary>Who forgets a net has it freed by the collector.</summary>
    public static void ForgottenNetsAreFreed()
    {
        Check.NoLibraryThreads("before it");
        var thread = new Thread(Forget); // whose stack does not remember
        thread.Start();
        thread.Join();
        Check.Until(() =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return Check.LibraryThreads() < 5; // a stack may still look as if it knew one
        }, "threads go");
    }

    private static void Forget()
    {
        var all = new List<SockeyeNet>();
        for (int i = 0; i < 20; i++)
        {
            SockeyeConfig config = SockeyeConfig.Default;
            config.Workers = 1;
            all.Add(new SockeyeNet(config));
            all[i].SetLog(SockeyeLogLevel.Info);
        }
        Check.Until(() => Check.LibraryThreads() == 20, "a thread of each");
        GC.KeepAlive(all);
    }

    // --- What Unity's editor does at each change of a script -------------------------------------

    public static void DomainReload()
    {
        for (int i = 0; i < 10; i++)
        {
            AppDomain domain = AppDomain.CreateDomain("reload " + i);
            domain.DoCallBack(LeaveEverythingOpen);
            int before = Check.LibraryThreads();
            AppDomain.Unload(domain);
            Check.Until(() => Check.LibraryThreads() <= before - 3, "its three threads go");
        }
    }

    private static readonly List<object> Left = new List<object>();

    private static void LeaveEverythingOpen()
    {
        SockeyeServer server;
        SockeyeClient client;
        SockeyeConn conn;
        LiveTests.Pair(out server, out client, out conn);
        server.SetLog(SockeyeLogLevel.Info);
        SockeyeNet net = Pooled(Function);
        for (int i = 0; i < 100; i++) net.Post(1, 5);
        Check.Until(() => Volatile.Read(ref told) == 100, "calls from a worker");
        Left.AddRange(new object[] { server, client, net });
    }

    // --- What cannot be made ---------------------------------------------------------------------

    public static void ClearWords()
    {
        SockeyeConfig config = SockeyeConfig.Default;
        config.Queues = 1000;
        SockeyeException why = Check.Throws<SockeyeException>(
            () => new SockeyeNet(config), "1000 queues");
        Check.Equal(SockeyeStatus.ErrInvalid, why.Status, "the status");
        Check.That(why.Message.Contains("queues"), why.Message);
        why = Check.Throws<SockeyeException>(() => new SockeyeClient("bird://x:1"), "a bird");
        Check.That(why.Status == SockeyeStatus.ErrUnsupported || why.Message.Contains("bird"),
            why.Message);
        Check.Throws<SockeyeException>(() => new SockeyeClient(null), "no URL");
        using (var server = new SockeyeServer(Any))
        {
            why = Check.Throws<SockeyeException>(
                () => new SockeyeServer(LiveTests.UrlOf(server)), "a port in use");
            Check.Equal(SockeyeStatus.ErrBusy, why.Status, "the status");
        }
        SockeyeCause cause = SockeyeCause.None;
        int free;
        using (var server = new SockeyeServer(Any)) free = server.Port;
        using (var client = new SockeyeClient("tcp://127.0.0.1:" + free))
        {
            client.Closed += e => cause = e.Cause;
            Check.Until(() => cause != SockeyeCause.None, "a failure", client);
            Check.Equal(SockeyeCause.Refused, cause, "the cause");
            Check.Equal("connection refused", SockeyeText.Of(cause), "its words");
        }
        Check.Equal("stale handle", SockeyeText.Of(SockeyeStatus.ErrStale), "a status's words");
        Check.That(SockeyeText.OfOsError(2).Length > 0, "the system's words");
    }
}
