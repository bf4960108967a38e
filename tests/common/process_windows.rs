//! What the system says about a process: memory, time, threads, handles. Of Windows; `process.rs`
//! is its twin.

use socket2::{SockRef, Socket};
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::windows::io::BorrowedSocket;
use std::ptr;
use std::time::Duration;
use windows_sys::Win32::Foundation::{
    CloseHandle, FILETIME, GetHandleInformation, HANDLE, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE,
    LocalFree, WAIT_OBJECT_0, WAIT_TIMEOUT,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentProcessId, GetCurrentThreadId, GetThreadDescription,
    GetThreadTimes, OpenThread, THREAD_QUERY_LIMITED_INFORMATION, WaitForSingleObject,
};

/// What the system answers when no socket listens: WSAECONNREFUSED.
pub const NOBODY_LISTENS: i32 = 10061;
/// What the system says of a connection that its peer has reset: WSAECONNRESET.
pub const RESET_BY_PEER: i32 = 10054;
/// What the system says where no way leads: WSAENETUNREACH.
pub const NO_ROUTE: i32 = 10051;
/// The system keeps the buffer that it is asked for.
pub const BUFFER_FACTOR: usize = 1;
/// Handles are multiples of four; no test has so many.
const HANDLES_MAX: i32 = 4 * 16 * 1024;
/// A thread that uses no time for so long sleeps: longer than the clock of such times ticks.
const ASLEEP: Duration = Duration::from_millis(40);

/// Resident memory of this process.
pub fn resident_bytes() -> u64 {
    let mut counters = MaybeUninit::<PROCESS_MEMORY_COUNTERS>::zeroed();
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    // SAFETY: room for the answer, and its size.
    let known =
        unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), counters.as_mut_ptr(), size) };
    assert!(known != 0, "the system knows this process");
    // SAFETY: just filled in.
    unsafe { counters.assume_init() }.WorkingSetSize as u64
}

/// Threads of this process.
pub fn threads() -> usize {
    thread_numbers().len()
}

/// Threads have no names here.
pub fn has_thread(_name: &str) -> bool {
    false
}

/// The system's numbers of this process's threads.
pub fn thread_numbers() -> Vec<i32> {
    let mut numbers = Vec::new();
    let mut entry = THREADENTRY32 {
        dwSize: size_of::<THREADENTRY32>() as u32,
        cntUsage: 0,
        th32ThreadID: 0,
        th32OwnerProcessID: 0,
        tpBasePri: 0,
        tpDeltaPri: 0,
        dwFlags: 0,
    };
    // SAFETY: a list of the system's, read into an entry of this function's own, and closed.
    unsafe {
        let list = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
        assert!(list != INVALID_HANDLE_VALUE, "a list of threads");
        let ours = GetCurrentProcessId();
        let mut more = Thread32First(list, &mut entry);
        while more != 0 {
            if entry.th32OwnerProcessID == ours {
                numbers.push(entry.th32ThreadID as i32);
            }
            more = Thread32Next(list, &mut entry);
        }
        CloseHandle(list);
    }
    numbers
}

/// Time that a thread of this process has used. None: it has ended.
fn used(thread: i32) -> Option<[u64; 2]> {
    const ZERO: FILETIME = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    let [mut created, mut ended, mut kernel, mut user] = [ZERO; 4];
    // SAFETY: the four times are this function's own, and the handle is closed again.
    let known = unsafe {
        let thread = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, 0, thread as u32);
        if thread.is_null() {
            return None;
        }
        let known = GetThreadTimes(thread, &mut created, &mut ended, &mut kernel, &mut user);
        CloseHandle(thread);
        known
    };
    let ticks =
        |time: FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    (known != 0).then(|| [ticks(kernel), ticks(user)])
}

/// Whether a thread of this process sleeps in the system: it uses no time.
pub fn sleeps(thread: i32) -> bool {
    let before = used(thread);
    std::thread::park_timeout(ASLEEP);
    before.is_some() && before == used(thread)
}

/// Whether all threads of this process with this name sleep in the system.
pub fn all_sleep(name: &str) -> bool {
    let named =
        thread_numbers().into_iter().filter(|&thread| name_of(thread).as_deref() == Some(name));
    // All in the same span: a test has other things to do meanwhile.
    let before: Vec<_> = named.map(|thread| (thread, used(thread))).collect();
    std::thread::park_timeout(ASLEEP);
    before.into_iter().all(|(thread, before)| before.is_some() && before == used(thread))
}

/// The name of a thread. None: it has ended, or has none.
fn name_of(thread: i32) -> Option<String> {
    let mut name = ptr::null_mut();
    // SAFETY: the handle is closed again, and the name is the system's until it is given back.
    unsafe {
        let thread = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, 0, thread as u32);
        if thread.is_null() {
            return None;
        }
        let known = GetThreadDescription(thread, &mut name);
        CloseHandle(thread);
        if known < 0 || name.is_null() {
            return None;
        }
        let len = (0..).take_while(|&at| *name.add(at) != 0).count();
        let text = String::from_utf16_lossy(std::slice::from_raw_parts(name, len));
        LocalFree(name.cast());
        Some(text)
    }
}

/// The system's number of the calling thread.
pub fn thread_number() -> i32 {
    // SAFETY: a plain question to the system.
    unsafe { GetCurrentThreadId() as i32 }
}

fn flags_of(handle: i32) -> Option<u32> {
    let mut flags = 0;
    // SAFETY: the system answers for any number, and a question changes nothing.
    let open = unsafe { GetHandleInformation(handle as usize as HANDLE, &mut flags) };
    (open != 0).then_some(flags)
}

/// Open handles of this process.
pub fn descriptors() -> BTreeSet<i32> {
    (4..HANDLES_MAX).step_by(4).filter(|&handle| flags_of(handle).is_some()).collect()
}

/// Whether a handle stays behind when the process starts another. One that was closed meanwhile
/// does.
pub fn closes_on_exec(handle: i32) -> bool {
    flags_of(handle).is_none_or(|flags| flags & HANDLE_FLAG_INHERIT == 0)
}

/// Another handle of a socket among the handles of this process.
pub fn socket_of(handle: i32) -> Option<Socket> {
    // SAFETY: it is open, and stays so while the net has its connection.
    let socket = unsafe { BorrowedSocket::borrow_raw(handle as u64) };
    let socket = SockRef::from(&socket);
    socket.local_addr().ok()?;
    socket.try_clone().ok()
}

/// When an idle connection is asked whether it lives: the system does not tell.
pub fn keepalive(_: &Socket) -> Option<(u32, u32, u32)> {
    None
}

/// How long what was sent may stay unacknowledged: the system has no such time.
pub fn user_timeout(_: &Socket) -> Option<Option<Duration>> {
    None
}

/// Whether what a host waits on is signalled within so many milliseconds.
pub fn signalled(handle: i32, timeout_ms: i32) -> bool {
    // SAFETY: an open handle of the net's.
    match unsafe { WaitForSingleObject(handle as usize as HANDLE, timeout_ms as u32) } {
        WAIT_OBJECT_0 => true,
        WAIT_TIMEOUT => false,
        other => panic!("a wait that answered {other:#x}"),
    }
}

/// Leaves this thread in a network without routes: there is no such thing.
pub fn leave_network() -> bool {
    false
}

/// Whether a socket that is closed with no time to linger resets its connection. Wine ends it
/// first, so that the peer mostly sees an end.
pub fn resets() -> bool {
    // SAFETY: two names that end in NUL.
    let wine = unsafe {
        let ntdll = GetModuleHandleA(c"ntdll.dll".as_ptr().cast());
        GetProcAddress(ntdll, c"wine_get_version".as_ptr().cast())
    };
    wine.is_none()
}

/// Handles have no limit that a test could reach or would have to raise.
pub fn limit_descriptors(_count: u64) {}
