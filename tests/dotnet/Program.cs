// Runs the tests, or those whose names are given behind the three paths:
// the table of sockeye.h, an echo server and a client, both written in C.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;

public static class Program
{
    public static int Main(string[] args)
    {
        if (args.Length < 3) return 2;
        string table = args[0], echo = args[1], client = args[2];
        var tests = new Dictionary<string, Action>
        {
            { "layout: the table", () => LayoutTests.TheTable(table) },
            { "layout: every function is there", LayoutTests.EveryFunctionIsThere },
            { "layout: the library agrees", LayoutTests.TheLibraryAgrees },
            { "live: a client of a C server", () => LiveTests.ClientOfCServer(echo) },
            { "live: a server of many clients", LiveTests.ServerOfManyClients },
            { "live: a server of a C client", () => LiveTests.ServerOfCClient(client) },
            { "live: one message to many", LiveTests.SendToMany },
            { "live: datagrams", LiveTests.Datagrams },
            { "live: links of one net", LiveTests.LinksOfOneNet },
            { "live: keyed messages", LiveTests.KeyedMessages },
            { "live: rooms", LiveTests.Rooms },
            { "live: the doorkeeper", LiveTests.TheDoorkeeper },
            { "live: metrics", LiveTests.Metrics },
            { "live: bytes without framing", LiveTests.BytesWithoutFraming },
            { "live: one port for two", LiveTests.OnePortForTwo },
            { "live: a close inside a batch", LiveTests.CloseInsideABatch },
            { "live: the largest frame", LiveTests.TheLargestFrame },
            { "live: AGAIN and WRITABLE", LiveTests.AgainAndWritable },
            { "live: nothing is allocated", LiveTests.NothingIsAllocated },
            { "edge: stale handles", EdgeTests.StaleHandles },
            { "edge: a callback from a worker", EdgeTests.CallbackFromAWorker },
            { "edge: collections during callbacks", EdgeTests.CollectionsDuringCallbacks },
            { "edge: hold and release", EdgeTests.HoldAndRelease },
            { "edge: acquire and send", EdgeTests.AcquireAndSend },
            { "edge: a function that throws", EdgeTests.AFunctionThatThrowsLosesNothing },
            { "edge: the log", EdgeTests.TheLog },
            { "edge: Dispose twice", EdgeTests.DisposeTwice },
            { "edge: shutdown in order", EdgeTests.ShutdownInOrder },
            { "edge: fifty lives", EdgeTests.FiftyLives },
            { "edge: forgotten nets", EdgeTests.ForgottenNetsAreFreed },
            { "edge: domain reload", EdgeTests.DomainReload },
            { "edge: clear words", EdgeTests.ClearWords },
        };
        int failed = 0, ran = 0;
        foreach (KeyValuePair<string, Action> test in tests)
        {
            if (args.Length > 3 && !args.Skip(3).Contains(test.Key)) continue;
            ran++;
            Stopwatch clock = Stopwatch.StartNew();
            try
            {
                test.Value();
                long took = clock.ElapsedMilliseconds;
                Console.WriteLine("ok      " + test.Key + " (" + took + " ms)");
            }
            catch (Exception why)
            {
                failed++;
                Console.WriteLine("FAILED  " + test.Key + ": "
                    + (why is Failure ? why.Message : why.ToString()));
            }
        }
        Console.WriteLine(ran - failed + " of " + ran + " tests passed");
        return failed == 0 && ran > 0 ? 0 : 1;
    }
}
