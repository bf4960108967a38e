// In front of C# on a page: what of Unity, and of the page's own game, it speaks of.
using System;

public class MonoBehaviour
{
    protected void Apply(ReadOnlySpan<byte> payload) { }
    protected void ShowToPlayer(string why) { }
}

public static class Debug
{
    public static void Log(object words) { }
}
