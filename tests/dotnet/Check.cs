// What the tests share: requirements, waiting with a deadline, and other programs.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Threading;
using Sockeye;

public sealed class Failure : Exception
{
    public Failure(string what) : base(what) { }
}

public static class Check
{
    /// <summary>Longer than anything here takes on a loaded machine.</summary>
    public const int DeadlineMs = 20000;

    public static void That(bool condition, string what)
    {
        if (!condition) throw new Failure("not so: " + what);
    }

    public static void Equal<T>(T expected, T actual, string what)
    {
        if (EqualityComparer<T>.Default.Equals(expected, actual)) return;
        throw new Failure(what + " is " + actual + ", not " + expected);
    }

    public static void Done(SockeyeStatus status, string what)
    {
        if (status < 0) throw new Failure(what + " answers " + status);
    }

    public static void Same(byte[] expected, byte[] actual, string what)
    {
        Equal(expected.Length, actual.Length, "the length of " + what);
        for (int i = 0; i < expected.Length; i++)
            if (expected[i] != actual[i]) throw new Failure(what + " differs at " + i);
    }

    public static T Throws<T>(Action action, string what) where T : Exception
    {
        try
        {
            action();
        }
        catch (T wanted)
        {
            return wanted;
        }
        throw new Failure(what + " does not throw");
    }

    /// <summary>Ticks these nets until the condition holds.</summary>
    public static void Until(Func<bool> condition, string what, params SockeyeNet[] nets)
    {
        Stopwatch clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (clock.ElapsedMilliseconds > DeadlineMs) throw new Failure("never: " + what);
            int told = 0;
            foreach (SockeyeNet net in nets) told += net.Tick();
            if (told == 0) Thread.Sleep(1); // tidy: pause, between two looks
        }
    }

    /// <summary>Bytes that tell where they are.</summary>
    public static byte[] Bytes(int length, int seed)
    {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) bytes[i] = (byte)(seed * 31 + i * 7);
        return bytes;
    }

    /// <summary>No net is left. A thread that was joined may be listed a moment longer.</summary>
    public static void NoLibraryThreads(string when)
    {
        Until(() => LibraryThreads() == 0, "no thread of the library " + when);
    }

    /// <summary>The library's threads in this process.</summary>
    public static int LibraryThreads()
    {
        int count = 0;
        foreach (string task in Directory.GetDirectories("/proc/self/task"))
        {
            try
            {
                if (File.ReadAllText(task + "/comm").StartsWith("sockeye")) count++;
            }
            catch (IOException)
            {
                // It has ended between the list and the look.
            }
        }
        return count;
    }
}

/// <summary>A program of the other side, ended with the test.</summary>
public sealed class Peer : IDisposable
{
    private readonly Process process;

    public Peer(string program, string argument)
    {
        var start = new ProcessStartInfo(program, argument);
        start.UseShellExecute = false;
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        process = Process.Start(start);
    }

    public bool HasExited { get { return process.HasExited; } }
    public int ExitCode { get { return process.ExitCode; } }
    public string ReadLine() { return process.StandardOutput.ReadLine(); }
    public void EndInput() { process.StandardInput.Close(); }

    public void Dispose()
    {
        if (!process.HasExited) process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}
