// Where the library is, and what the functions of Functions.cs have in common: nothing is
// marshalled but the net, a SafeHandle that lives as long as a call is inside of it. Pointers stay
// pointers and text is UTF-8 with a NUL. Most programs use Sockeye.cs instead.

using System;
using System.Runtime.InteropServices;

namespace Sockeye
{
#if !UNITY_5_3_OR_NEWER
    /// <summary>
    /// Marks a static method that the library calls. Unity's own, in AOT, tells IL2CPP to compile a
    /// way in from native code; everywhere else it means nothing.
    /// </summary>
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class MonoPInvokeCallbackAttribute : Attribute
    {
        public MonoPInvokeCallbackAttribute(Type type) { }
    }
#endif

    public static unsafe partial class Native
    {
#if (UNITY_IOS || UNITY_TVOS || UNITY_VISIONOS) && !UNITY_EDITOR
        // There a plugin is a static library and part of the program.
        private const string Library = "__Internal";
#else
        private const string Library = "sockeye";
#endif
        private const CallingConvention Call = CallingConvention.Cdecl;

        // For the end of a net, whose SafeHandle takes no calls any more.

        [DllImport(Library, CallingConvention = Call, EntryPoint = "sockeye_set_log")]
        internal static extern int set_log_at_end(IntPtr net, IntPtr log, IntPtr user, uint level);
        [DllImport(Library, CallingConvention = Call, EntryPoint = "sockeye_set_admit")]
        internal static extern int set_admit_at_end(IntPtr net, IntPtr admit, IntPtr user);
        [DllImport(Library, CallingConvention = Call, EntryPoint = "sockeye_set_callback")]
        internal static extern int set_callback_at_end(
            IntPtr net, uint queue, IntPtr callback, IntPtr user);
    }
}
