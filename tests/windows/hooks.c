/* What Windows documents of its calls and Wine never does: each row of the table makes one import
   of the DLL answer so, and says what must happen. Rows run on every model that calls it.

   hooks.exe sockeye.dll [part of a row's name [model]] */
#include "imports.h"

#define MODEL(name) (1u << SOCKEYE_MODEL_##name)
#define OVERLAPPED_ALL (MODEL(OVERLAPPED_EVENT) | MODEL(OVERLAPPED_ROUTINE) | MODEL(IOCP))
#define ALL 0xffffffffu
#define ROW_SECONDS 100
#define CALLERS 40
#define CROWD 480
#define HONEST 20

/* A net with one listener, and a plain client of it. */
struct scene {
    sockeye_net *net;
    sockeye_conn conn;
    SOCKET peer;
    struct sockaddr_in address;
    uint32_t model, drive;
};

struct row {
    const char *what, *import;
    int error;
    LONG times;
    uint32_t models, workers;
    void (*check)(struct scene *, const struct row *);
};

static const char *volatile row_now;
static HANDLE row_begun;

static DWORD WINAPI watch(void *unused)
{
    (void)unused;
    while (WaitForSingleObject(row_begun, ROW_SECONDS * 1000) == WAIT_OBJECT_0) continue;
    fprintf(stderr, "does not end: %s\n", row_now);
    _exit(1);
}

static SOCKET call(const struct scene *scene)
{
    const DWORD patience = HARNESS_DEADLINE_MS;
    const SOCKET peer = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(peer != INVALID_SOCKET);
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, (const char *)&patience, sizeof patience);
    REQUIRE_INT(0, connect(peer, (const struct sockaddr *)&scene->address, sizeof scene->address));
    return peer;
}

static void open_scene(struct scene *scene, uint32_t model, uint32_t drive, uint32_t workers)
{
    sockeye_listener door;
    sockeye_listener_info info;
    memset(scene, 0, sizeof *scene);
    scene->model = model;
    scene->drive = drive;
    scene->net = harness_open(model, drive, workers);
    REQUIRE_OK(sockeye_listen(scene->net, "tcp://127.0.0.1:0", NULL, &door));
    REQUIRE_OK(sockeye_listener_get_info(scene->net, door, &info, sizeof info));
    scene->address.sin_family = AF_INET;
    scene->address.sin_port = htons((u_short)info.port);
    scene->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    scene->peer = call(scene);
    scene->conn = harness_expect(scene->net, SOCKEYE_EVENT_OPENED).conn;
}

static void echo(struct scene *scene)
{
    char byte = 'e';
    REQUIRE_INT(1, send(scene->peer, &byte, 1, 0));
    sockeye_event event = harness_next(scene->net, 0);
    /* Others come and go meanwhile. */
    while (event.kind != SOCKEYE_EVENT_BYTES) event = harness_next(scene->net, 0);
    REQUIRE_OK(sockeye_send(scene->net, event.conn, event.data, event.data_len));
    if (scene->drive != SOCKEYE_DRIVE_POOL) (void)sockeye_flush(scene->net);
    REQUIRE_INT(1, recv(scene->peer, &byte, 1, 0));
}

/* A wake-up is refused, and then all of them: what the host asks for is done, and the net ends. */
static void is_heard(struct scene *scene, const struct row *row)
{
    const LONG times[] = {1, 3, FOR_EVER};
    char byte;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        const int64_t deadline = harness_deadline();
        do {
            harness_breathe(deadline); /* the worker falls asleep meanwhile */
            arm(row->import, row->error, times[i]);
            REQUIRE_OK(sockeye_send(scene->net, scene->conn, (const uint8_t *)"x", 1));
            REQUIRE_INT(1, recv(scene->peer, &byte, 1, 0));
        } while (fault.hits == 0);
    }
}

/* Waits fail in a row: nothing of it is seen. */
static void waits_again(struct scene *scene, const struct row *row)
{
    const int64_t deadline = harness_deadline();
    arm(row->import, row->error, row->times);
    while (fault.hits < row->times) {
        REQUIRE(harness_now_ms() < deadline);
        echo(scene);
    }
}

/* What is recorded cannot be had: the tries find out, and nobody asks again and again. */
static void does_not_spin(struct scene *scene, const struct row *row)
{
    const int64_t deadline = harness_deadline();
    arm(row->import, row->error, row->times);
    for (int i = 0; i < 100; i++) {
        if (i % 10 == 0) echo(scene);
        harness_breathe(deadline);
    }
    REQUIRE(fault.hits > 0 && fault.hits < 100);
}

/* Whoever calls behind some that are lost is let in, at once. */
static void lets_in(struct scene *scene, const struct row *row)
{
    static SOCKET peers[CROWD + HONEST];
    const LONG callers = row->times + HONEST;
    /* Less than a pause after each failure, or after each that AcceptEx meets with, would take. */
    const int64_t deadline = harness_deadline() + 30 * row->times;
    int opened = 0;
    arm(row->import, row->error, row->times);
    for (LONG i = 0; i < callers; i++) peers[i] = call(scene);
    while (opened < HONEST || fault.hits < row->times) {
        sockeye_event event;
        const int32_t count = REQUIRE_OK(sockeye_poll_events(scene->net, &event, 1, 100));
        opened += count == 1 && event.kind == SOCKEYE_EVENT_OPENED;
        REQUIRE(harness_now_ms() < deadline);
    }
    disarm();
    for (LONG i = 0; i < callers; i++) closesocket(peers[i]);
}

/* Large sends find no memory: smaller ones are tried, and all of it arrives. */
static void arrives(struct scene *scene, const struct row *row)
{
    enum { TOTAL = 3 * 1024 * 1024, PART = 512 * 1024 };
    static uint8_t bytes[PART];
    static char in[64 * 1024];
    int64_t taken = 0, come = 0;
    const int64_t deadline = harness_deadline();
    for (size_t i = 0; i < PART; i++) bytes[i] = (uint8_t)(i * 31 >> 5);
    seen.largest_send = 0;
    arm(row->import, row->error, row->times);
    while (come < TOTAL) {
        u_long waiting = 0;
        sockeye_event event;
        if (taken < TOTAL && sockeye_send(scene->net, scene->conn, bytes, PART) == SOCKEYE_OK)
            taken += PART;
        (void)sockeye_poll_events(scene->net, &event, 1, 1);
        REQUIRE_INT(0, ioctlsocket(scene->peer, FIONREAD, &waiting));
        if (waiting > 0) {
            const int count = recv(scene->peer, in, sizeof in, 0);
            REQUIRE(count > 0);
            for (int i = 0; i < count; i++)
                REQUIRE((uint8_t)in[i] == bytes[(size_t)(come + i) % PART]);
            come += count;
        }
        REQUIRE(harness_now_ms() < deadline);
    }
    REQUIRE(seen.largest_send <= 256 * 1024);
}

/* No port is left for a connect: the host learns that it is a limit of its own. */
static void is_a_limit(struct scene *scene, const struct row *row)
{
    char url[64];
    sockeye_conn conn;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", ntohs(scene->address.sin_port));
    arm(row->import, row->error, row->times);
    REQUIRE_OK(sockeye_connect(scene->net, url, NULL, &conn));
    const sockeye_event event = harness_expect(scene->net, SOCKEYE_EVENT_CLOSED);
    REQUIRE_INT(SOCKEYE_CAUSE_LIMIT_DESCRIPTORS, event.cause);
    disarm();
}

/* What is asked of the system: a backlog as a hint, one SYN for loopback, a pause in keep-alive. */
static void asks_well(struct scene *scene, const struct row *row)
{
    sockeye_endpoint endpoint;
    sockeye_listener door;
    sockeye_listener_info info;
    sockeye_conn conn;
    char url[64];
    (void)row;
    REQUIRE_OK(sockeye_endpoint_init(&endpoint, sizeof endpoint));
    endpoint.keepalive_s = 60;
    endpoint.backlog = 5000;
    REQUIRE_OK(sockeye_listen(scene->net, "tcp://127.0.0.1:0", &endpoint, &door));
    REQUIRE_INT(-5000, seen.backlog);
    REQUIRE_OK(sockeye_listener_get_info(scene->net, door, &info, sizeof info));
    snprintf(url, sizeof url, "tcp://127.0.0.1:%" PRIu32, info.port);
    memset(&seen, 0, sizeof seen);
    REQUIRE_OK(sockeye_connect(scene->net, url, &endpoint, &conn));
    harness_expect(scene->net, SOCKEYE_EVENT_OPENED);
    harness_expect(scene->net, SOCKEYE_EVENT_OPENED);
    REQUIRE(seen.syn_once);
    REQUIRE(seen.keepalive_interval >= 1000);
}

/* A server says a word and closes while nobody looks: all of it is recorded at once, or told one by
   one, with the connect. */
static void hears_a_short_server(struct scene *scene, const struct row *row)
{
    struct sockaddr_in address = scene->address;
    int len = sizeof address;
    char url[64];
    const SOCKET door = socket(AF_INET, SOCK_STREAM, 0);
    (void)row;
    address.sin_port = 0;
    REQUIRE_INT(0, bind(door, (struct sockaddr *)&address, sizeof address));
    REQUIRE_INT(0, listen(door, 5));
    REQUIRE_INT(0, getsockname(door, (struct sockaddr *)&address, &len));
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    for (LONG i = 0; i < 20; i++) {
        size_t come = 0;
        sockeye_conn conn;
        fd_sets = i % 2 == 0 ? FD_AS_IS : FD_ONE_BY_ONE;
        REQUIRE_OK(sockeye_connect(scene->net, url, NULL, &conn));
        (void)sockeye_flush(scene->net);
        const SOCKET peer = accept(door, NULL, NULL);
        REQUIRE_INT(11, send(peer, "server full", 11, 0));
        closesocket(peer);
        harness_breathe(harness_deadline());
        harness_expect(scene->net, SOCKEYE_EVENT_OPENED);
        while (come < 11) come += harness_expect(scene->net, SOCKEYE_EVENT_BYTES).data_len;
        const sockeye_event event = harness_expect(scene->net, SOCKEYE_EVENT_CLOSED);
        REQUIRE(come == 11 && event.cause == SOCKEYE_CAUSE_PEER);
        fd_sets = FD_AS_IS;
    }
    closesocket(door);
}

/* The packet of a host's own port is posted by a poll that leaves something. */
static void is_posted(struct scene *scene, const struct row *row)
{
    DWORD bytes;
    ULONG_PTR key = 0;
    OVERLAPPED *operation;
    const HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    REQUIRE(port != NULL);
    if (scene->drive == SOCKEYE_DRIVE_HOST) return;
    REQUIRE_OK(sockeye_wait_port(scene->net, 0, (intptr_t)port, 7));
    arm(row->import, row->error, 2);
    REQUIRE_OK(sockeye_post(scene->net, 0, 1, 1));
    REQUIRE_OK(sockeye_post(scene->net, 0, 2, 2));
    REQUIRE_INT(2, fault.hits);
    harness_expect(scene->net, SOCKEYE_EVENT_POSTED);
    REQUIRE(GetQueuedCompletionStatus(port, &bytes, &key, &operation, HARNESS_DEADLINE_MS));
    REQUIRE_INT(7, key);
    harness_expect(scene->net, SOCKEYE_EVENT_POSTED);
    REQUIRE_OK(sockeye_wait_port(scene->net, 0, 0, 0));
    REQUIRE(CloseHandle(port));
}

/* An end is told with data left, or a record comes in pieces: no byte and no end is lost. */
static void tells_all(struct scene *scene, const struct row *row)
{
    const LONG sets[] = {FD_CLOSE_ALONE, FD_ONE_BY_ONE};
    static char bytes[200 * 1024];
    (void)row;
    for (size_t i = 0; i < 2 * 8; i++) {
        const size_t len = i % 2 == 0 ? 11 : sizeof bytes;
        size_t come = 0;
        const SOCKET peer = call(scene);
        fd_sets = sets[i / 8];
        REQUIRE_INT((int)len, send(peer, bytes, (int)len, 0));
        closesocket(peer);
        harness_expect(scene->net, SOCKEYE_EVENT_OPENED);
        while (come < len) come += harness_expect(scene->net, SOCKEYE_EVENT_BYTES).data_len;
        const sockeye_event event = harness_expect(scene->net, SOCKEYE_EVENT_CLOSED);
        REQUIRE(come == len && event.cause == SOCKEYE_CAUSE_PEER);
        fd_sets = FD_AS_IS;
    }
}

static const struct row rows[] = {
    {"wake-up, datagram", "send", WSAENOBUFS, 0, MODEL(POLL) | MODEL(SELECT), 1, is_heard},
    {"wake-up, packet", "PostQueuedCompletionStatus", ERROR_NO_SYSTEM_RESOURCES, 0,
     MODEL(IOCP) | MODEL(TOKIO), 1, is_heard},
    {"wake-up, procedure", "QueueUserAPC", ERROR_NO_SYSTEM_RESOURCES, 0, MODEL(IOCP), 2, is_heard},
    {"wait, WSAENOBUFS", "WSAPoll", WSAENOBUFS, 5, MODEL(POLL), 1, waits_again},
    {"wait, memory", "WSAPoll", WSA_NOT_ENOUGH_MEMORY, 5, MODEL(POLL), 1, waits_again},
    {"wait, WSAENOBUFS", "select", WSAENOBUFS, 5, MODEL(SELECT), 1, waits_again},
    {"wait, memory", "WSAWaitForMultipleEvents", WSA_NOT_ENOUGH_MEMORY, 5,
     MODEL(EVENT_SELECT) | MODEL(OVERLAPPED_EVENT) | MODEL(OVERLAPPED_ROUTINE), 1, waits_again},
    {"wait, resources", "GetQueuedCompletionStatusEx", ERROR_NO_SYSTEM_RESOURCES, 5,
     MODEL(IOCP) | MODEL(TOKIO), 1, waits_again},
    {"wait, resources, two workers", "GetQueuedCompletionStatusEx", ERROR_NO_SYSTEM_RESOURCES, 5,
     MODEL(IOCP), 2, waits_again},
    {"record, WSAENOBUFS", "WSAEnumNetworkEvents", WSAENOBUFS, FOR_EVER, MODEL(EVENT_SELECT), 1,
     does_not_spin},
    {"caller lost in accept", "accept", WSAENOTCONN, CALLERS, ALL & ~OVERLAPPED_ALL, 1, lets_in},
    {"caller lost, reset", "accept", WSAECONNRESET, CALLERS, ALL & ~OVERLAPPED_ALL, 1, lets_in},
    {"caller lost after accept", "SO_UPDATE_ACCEPT_CONTEXT", WSAENOTCONN, CALLERS, OVERLAPPED_ALL,
     1, lets_in},
    {"crowd lost after accept", "SO_UPDATE_ACCEPT_CONTEXT", WSAENOTCONN, CROWD, MODEL(IOCP), 1,
     lets_in},
    {"AcceptEx late, reset", "AcceptEx, late", WSAECONNRESET, CALLERS, OVERLAPPED_ALL, 1, lets_in},
    {"AcceptEx late, name", "AcceptEx, late", ERROR_NETNAME_DELETED, CALLERS, OVERLAPPED_ALL, 1,
     lets_in},
    {"AcceptEx late, WSAENOBUFS", "AcceptEx, late", WSAENOBUFS, 3, OVERLAPPED_ALL, 1, lets_in},
    {"accept, descriptors", "accept", WSAEMFILE, 3, ALL & ~OVERLAPPED_ALL, 1, lets_in},
    {"send, WSAENOBUFS", "WSASend", WSAENOBUFS, FOR_EVER, ALL, 1, arrives},
    {"send, size", "nothing", 0, 0, ALL, 1, arrives},
    {"connect, ports", "connect", WSAEADDRINUSE, 1, ALL & ~OVERLAPPED_ALL, 1, is_a_limit},
    {"connect, buffers", "connect", WSAENOBUFS, 1, ALL & ~OVERLAPPED_ALL, 1, is_a_limit},
    {"connect, ports", "ConnectEx", WSAEADDRINUSE, 1, OVERLAPPED_ALL, 1, is_a_limit},
    {"connect, buffers", "ConnectEx", WSAENOBUFS, 1, OVERLAPPED_ALL, 1, is_a_limit},
    {"host's port", "PostQueuedCompletionStatus", ERROR_NO_SYSTEM_RESOURCES, 2, MODEL(POLL), 1,
     is_posted},
    {"options", "nothing", 0, 0, ALL, 1, asks_well},
    {"FD_ sets", "nothing", 0, 0, MODEL(EVENT_SELECT), 1, tells_all},
    {"FD_ sets, short server", "nothing", 0, 0, ALL, 1, hears_a_short_server},
};

static void run(const struct row *row, uint32_t model, uint32_t drive)
{
    static char name[128];
    struct scene scene;
    sockeye_model_info info;
    REQUIRE_OK(sockeye_model_probe(model, &info, sizeof info));
    snprintf(name, sizeof name, "%s (%s), %s, drive %u", row->what, row->import,
             (const char *)info.name, drive);
    row_now = name;
    REQUIRE(SetEvent(row_begun));
    open_scene(&scene, model, drive, drive == SOCKEYE_DRIVE_HOST ? 0 : row->workers);
    echo(&scene);
    row->check(&scene, row);
    if (row->check != is_heard) {
        disarm();
        echo(&scene);
    }
    /* A refusal that is for ever goes on to the end of the net. */
    REQUIRE_OK(sockeye_shutdown(scene.net, 0));
    REQUIRE_STATUS(SOCKEYE_OK, sockeye_free(scene.net));
    disarm();
    closesocket(scene.peer);
}

/* Nothing is said on the host's error output, whatever panics beneath. */
static HANDLE listen_to_errors(void)
{
    char folder[MAX_PATH], name[MAX_PATH];
    REQUIRE(GetTempPathA(sizeof folder, folder) && GetTempFileNameA(folder, "hk", 0, name));
    const HANDLE file = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, NULL,
                                    CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL);
    REQUIRE(file != INVALID_HANDLE_VALUE && SetStdHandle(STD_ERROR_HANDLE, file));
    return file;
}

int main(int argc, char **argv)
{
    WSADATA data;
    sockeye_model_info info;
    REQUIRE_INT(0, WSAStartup(0x202, &data));
    const HANDLE errors = listen_to_errors();
    install();
    row_begun = CreateEventA(NULL, FALSE, FALSE, NULL);
    REQUIRE(row_begun != NULL);
    CloseHandle(CreateThread(NULL, 0, watch, NULL, 0, NULL));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (argc > 2 && strstr(rows[i].what, argv[2]) == NULL) continue;
        for (uint32_t model = SOCKEYE_MODEL_BLOCKING; model <= SOCKEYE_MODEL_IOCP; model++) {
            if (sockeye_model_probe(model, &info, sizeof info) < 0 || !info.available) continue;
            if (argc > 3 && strcmp((const char *)info.name, argv[3]) != 0) continue;
            if (!(rows[i].models & 1u << model)) continue;
            run(&rows[i], model, SOCKEYE_DRIVE_POOL);
            const int hosted = model != SOCKEYE_MODEL_BLOCKING
                               && model != SOCKEYE_MODEL_OVERLAPPED_ROUTINE;
            if (hosted && rows[i].check != is_heard && rows[i].workers == 1)
                run(&rows[i], model, SOCKEYE_DRIVE_HOST);
        }
    }
    REQUIRE_INT(0, GetFileSize(errors, NULL));
    return 0;
}
