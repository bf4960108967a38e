// Every function of sockeye.h under its own name, which is where what it promises is said.
// Nothing is marshalled but the net, a SafeHandle that lives as long as a call is inside of it.
// Pointers stay pointers and text is UTF-8 with a NUL. Most programs use Sockeye.cs instead.

using System;
using System.Runtime.InteropServices;

namespace Sockeye
{
    /// <summary>sockeye_callback_fn: called on threads of the library; must not throw.</summary>
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate void SockeyeCallback(
        IntPtr user, IntPtr net, uint queue, SockeyeEvent* events, uint count);

    /// <summary>sockeye_log_fn: called on any thread; must not throw.</summary>
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate void SockeyeLogCallback(IntPtr user, uint level, byte* text);

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

    public static unsafe class Native
    {
        /// <summary>Of the header that this file was written from.</summary>
        public const uint VersionMajor = 0, VersionMinor = 1, AbiVersion = 1;
        public const uint WorkersAuto = 0xFFFFFFFF;
        public const uint QueueSpread = 0xFFFFFFFF;
        public const int MessagePartsMax = 64;
        public const uint FlagTruncated = 1;

#if (UNITY_IOS || UNITY_TVOS || UNITY_VISIONOS) && !UNITY_EDITOR
        // There a plugin is a static library and part of the program.
        private const string Library = "__Internal";
#else
        private const string Library = "sockeye";
#endif
        private const CallingConvention Call = CallingConvention.Cdecl;

        [DllImport(Library, CallingConvention = Call)]
        public static extern byte* sockeye_status_text(int status);
        [DllImport(Library, CallingConvention = Call)]
        public static extern byte* sockeye_cause_text(int cause);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_os_error_text(int code, byte* buffer, UIntPtr cap);
        [DllImport(Library, CallingConvention = Call)]
        public static extern byte* sockeye_last_error();
        [DllImport(Library, CallingConvention = Call)]
        public static extern byte* sockeye_version();
        [DllImport(Library, CallingConvention = Call)]
        public static extern uint sockeye_abi_version();
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_model_probe(
            uint model, SockeyeModelInfo* outInfo, UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern byte* sockeye_model_name(uint model);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_model_from_name(byte* text, uint* outModel);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_config_init(SockeyeConfig* config, UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_init(SockeyeConfig* config, IntPtr* outNet);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_shutdown(SockeyeNetHandle net, int timeoutMs);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_free(IntPtr net);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_discard(IntPtr net);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_endpoint_init(SockeyeEndpoint* endpoint, UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_listen(
            SockeyeNetHandle net, byte* url, SockeyeEndpoint* endpoint,
            SockeyeListener* outListener);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_listener_close(
            SockeyeNetHandle net, SockeyeListener listener);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_connect(
            SockeyeNetHandle net, byte* url, SockeyeEndpoint* endpoint, SockeyeConn* outConn);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_send(
            SockeyeNetHandle net, SockeyeConn conn, byte* data, UIntPtr dataLen);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_send_many(
            SockeyeNetHandle net, SockeyeConn* conns, UIntPtr count, byte* data, UIntPtr dataLen,
            int* outEach);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_close(SockeyeNetHandle net, SockeyeConn conn, uint how);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_close_with(
            SockeyeNetHandle net, SockeyeConn conn, uint how, byte* data, UIntPtr dataLen);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_conn_pause(SockeyeNetHandle net, SockeyeConn conn);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_conn_resume(SockeyeNetHandle net, SockeyeConn conn);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_conn_set_user_data(
            SockeyeNetHandle net, SockeyeConn conn, ulong userData);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_conn_set_queue(
            SockeyeNetHandle net, SockeyeConn conn, uint queue);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_message_init(SockeyeMessage* message, UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_send_message(
            SockeyeNetHandle net, SockeyeConn* conns, UIntPtr count, SockeyeMessage* message,
            int* outEach);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_poll_events(
            SockeyeNetHandle net, SockeyeEvent* outEvents, int cap, int timeoutMs);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_queue_poll_events(
            SockeyeNetHandle net, uint queue, SockeyeEvent* outEvents, int cap, int timeoutMs);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_send_to(
            SockeyeNetHandle net, SockeyeListener listener, SockeyeAddress* address, byte* data,
            UIntPtr dataLen);
        [DllImport(Library, CallingConvention = Call)]
        public static extern SockeyeAddress* sockeye_event_address(SockeyeEvent* @event);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_listener_join(
            SockeyeNetHandle net, SockeyeListener listener, SockeyeAddress* group,
            uint interfaceIndex);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_listener_leave(
            SockeyeNetHandle net, SockeyeListener listener, SockeyeAddress* group,
            uint interfaceIndex);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_listener_get_stats(
            SockeyeNetHandle net, SockeyeListener listener, SockeyeListenerStats* outStats,
            UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_flush(SockeyeNetHandle net);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_queue_flush(SockeyeNetHandle net, uint queue);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_post(
            SockeyeNetHandle net, uint queue, ulong detail, ulong userData);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_wait_handle(
            SockeyeNetHandle net, uint queue, IntPtr* outHandle);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_wait_port(
            SockeyeNetHandle net, uint queue, IntPtr port, ulong key);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_timer_start(
            SockeyeNetHandle net, uint queue, uint afterMs, uint everyMs, ulong userData,
            SockeyeTimer* outTimer);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_timer_stop(SockeyeNetHandle net, SockeyeTimer timer);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_set_callback(
            SockeyeNetHandle net, uint queue, IntPtr callback, IntPtr user);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_buffer_acquire(
            SockeyeNetHandle net, UIntPtr len, SockeyeBuffer* outBuffer);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_event_hold(
            SockeyeNetHandle net, SockeyeEvent* @event, SockeyeBuffer* outBuffer);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_buffer_release(SockeyeBuffer* buffer);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_net_get_info(
            SockeyeNetHandle net, SockeyeNetInfo* outInfo, UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_net_get_stats(
            SockeyeNetHandle net, SockeyeNetStats* outStats, UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_listener_get_info(
            SockeyeNetHandle net, SockeyeListener listener, SockeyeListenerInfo* outInfo,
            UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_conn_get_info(
            SockeyeNetHandle net, SockeyeConn conn, SockeyeConnInfo* outInfo, UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_conn_get_stats(
            SockeyeNetHandle net, SockeyeConn conn, SockeyeConnStats* outStats, UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_conns_get_stats(
            SockeyeNetHandle net, SockeyeConn* conns, UIntPtr count, SockeyeConnStats* outStats,
            UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_address_parse(byte* text, SockeyeAddress* outAddress);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_address_format(
            SockeyeAddress* address, byte* buffer, UIntPtr cap);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_set_log(
            SockeyeNetHandle net, IntPtr log, IntPtr user, uint level);

        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_fault_init(SockeyeFault* fault, UIntPtr size);
        [DllImport(Library, CallingConvention = Call)]
        public static extern int sockeye_fault_set(
            SockeyeNetHandle net, ulong id, SockeyeFault* fault);

        // For the end of a net, whose SafeHandle takes no calls any more.

        [DllImport(Library, CallingConvention = Call, EntryPoint = "sockeye_set_log")]
        internal static extern int set_log_at_end(IntPtr net, IntPtr log, IntPtr user, uint level);
        [DllImport(Library, CallingConvention = Call, EntryPoint = "sockeye_set_callback")]
        internal static extern int set_callback_at_end(
            IntPtr net, uint queue, IntPtr callback, IntPtr user);
    }
}
