/* The binary layout of every struct that crosses the boundary: size, offset and size of each field
   against literals, and no padding anywhere, also not at the end. A host that was compiled against
   an older header relies on every number here; new fields may only come behind, and then this file
   gets a new line, never another number. */
#include "harness.h"

#include <stddef.h>

static size_t expected_size, next_offset;

static void begin(const char *name, size_t expected, size_t actual)
{
    if (expected != actual) {
        fprintf(stderr, "sizeof(%s) is %zu, not %zu\n", name, actual, expected);
        _exit(1);
    }
    expected_size = expected;
    next_offset = 0;
}

static void field(const char *name, size_t offset, size_t size, size_t real_offset,
                  size_t real_size)
{
    if (offset != real_offset || size != real_size) {
        fprintf(stderr, "%s is at %zu with %zu bytes, not at %zu with %zu\n", name, real_offset,
                real_size, offset, size);
        _exit(1);
    }
    if (offset != next_offset) {
        fprintf(stderr, "padding before %s\n", name);
        _exit(1);
    }
    next_offset = offset + size;
}

#define SIZE(type, size) begin(#type, size, sizeof(type))
#define FIELD(type, name, offset, size)                                                           \
    field(#type "." #name, offset, size, offsetof(type, name), sizeof(((type *)0)->name))
#define END() REQUIRE_INT(expected_size, next_offset)

static void inputs(void)
{
    SIZE(sockeye_config, 96);
    FIELD(sockeye_config, struct_size, 0, 4);
    FIELD(sockeye_config, model, 4, 4);
    FIELD(sockeye_config, workers, 8, 4);
    FIELD(sockeye_config, queues, 12, 4);
    FIELD(sockeye_config, drive, 16, 4);
    FIELD(sockeye_config, lease_us, 20, 4);
    FIELD(sockeye_config, flush, 24, 4);
    FIELD(sockeye_config, connections_max, 28, 4);
    FIELD(sockeye_config, gather_us, 32, 4);
    FIELD(sockeye_config, spin_us, 36, 4);
    FIELD(sockeye_config, turn_messages, 40, 4);
    FIELD(sockeye_config, turn_bytes, 44, 4);
    FIELD(sockeye_config, memory_max_bytes, 48, 8);
    FIELD(sockeye_config, queue_max_bytes, 56, 8);
    FIELD(sockeye_config, taps, 64, 4);
    FIELD(sockeye_config, timers_max, 68, 4);
    FIELD(sockeye_config, reserved, 72, 24);
    END();
    SIZE(sockeye_framing, 64);
    FIELD(sockeye_framing, kind, 0, 4);
    FIELD(sockeye_framing, length_bytes, 4, 4);
    FIELD(sockeye_framing, length_offset, 8, 4);
    FIELD(sockeye_framing, little_endian, 12, 4);
    FIELD(sockeye_framing, length_adjustment, 16, 4);
    FIELD(sockeye_framing, keep_header, 20, 4);
    FIELD(sockeye_framing, frame_max_bytes, 24, 4);
    FIELD(sockeye_framing, reserved, 28, 36);
    END();
}

static void endpoint(void)
{
    SIZE(sockeye_endpoint, 176);
    FIELD(sockeye_endpoint, struct_size, 0, 4);
    FIELD(sockeye_endpoint, queue, 4, 4);
    FIELD(sockeye_endpoint, user_data, 8, 8);
    FIELD(sockeye_endpoint, framing, 16, 64);
    FIELD(sockeye_endpoint, outbox_max_bytes, 80, 4);
    FIELD(sockeye_endpoint, outbox_low_bytes, 84, 4);
    FIELD(sockeye_endpoint, outbox_max_messages, 88, 4);
    FIELD(sockeye_endpoint, overflow, 92, 4);
    FIELD(sockeye_endpoint, gate_reads, 96, 4);
    FIELD(sockeye_endpoint, connect_timeout_ms, 100, 4);
    FIELD(sockeye_endpoint, idle_timeout_ms, 104, 4);
    FIELD(sockeye_endpoint, first_byte_timeout_ms, 108, 4);
    FIELD(sockeye_endpoint, frame_timeout_ms, 112, 4);
    FIELD(sockeye_endpoint, send_timeout_ms, 116, 4);
    FIELD(sockeye_endpoint, linger_ms, 120, 4);
    FIELD(sockeye_endpoint, backlog, 124, 4);
    FIELD(sockeye_endpoint, nodelay, 128, 4);
    FIELD(sockeye_endpoint, keepalive_s, 132, 4);
    FIELD(sockeye_endpoint, recv_buffer_bytes, 136, 4);
    FIELD(sockeye_endpoint, send_buffer_bytes, 140, 4);
    FIELD(sockeye_endpoint, half_open, 144, 4);
    FIELD(sockeye_endpoint, share, 148, 4);
    FIELD(sockeye_endpoint, reserved, 152, 24);
    END();
}

static void daily(void)
{
    SIZE(sockeye_conn, 8);
    FIELD(sockeye_conn, id, 0, 8);
    END();
    SIZE(sockeye_timer, 8);
    FIELD(sockeye_timer, id, 0, 8);
    END();
    SIZE(sockeye_listener, 8);
    FIELD(sockeye_listener, id, 0, 8);
    END();
    SIZE(sockeye_bytes, 16);
    FIELD(sockeye_bytes, data, 0, 8);
    FIELD(sockeye_bytes, len, 8, 8);
    END();
    SIZE(sockeye_message, 40);
    FIELD(sockeye_message, struct_size, 0, 4);
    FIELD(sockeye_message, flags, 4, 4);
    FIELD(sockeye_message, key, 8, 8);
    FIELD(sockeye_message, parts, 16, 8);
    FIELD(sockeye_message, parts_count, 24, 4);
    FIELD(sockeye_message, reserved, 28, 4);
    FIELD(sockeye_message, buffer_id, 32, 8);
    END();
    SIZE(sockeye_fault_way, 64);
    FIELD(sockeye_fault_way, rate_bytes, 0, 8);
    FIELD(sockeye_fault_way, reset_after_bytes, 8, 8);
    FIELD(sockeye_fault_way, delay_ms, 16, 4);
    FIELD(sockeye_fault_way, jitter_ms, 20, 4);
    FIELD(sockeye_fault_way, stall_ms, 24, 4);
    FIELD(sockeye_fault_way, split_bytes, 28, 4);
    FIELD(sockeye_fault_way, loss_ppm, 32, 4);
    FIELD(sockeye_fault_way, burst, 36, 4);
    FIELD(sockeye_fault_way, duplicate_ppm, 40, 4);
    FIELD(sockeye_fault_way, reorder_ppm, 44, 4);
    FIELD(sockeye_fault_way, corrupt_ppm, 48, 4);
    FIELD(sockeye_fault_way, reserved, 52, 12);
    END();
    SIZE(sockeye_fault, 144);
    FIELD(sockeye_fault, struct_size, 0, 4);
    FIELD(sockeye_fault, reserved, 4, 4);
    FIELD(sockeye_fault, seed, 8, 8);
    FIELD(sockeye_fault, inward, 16, 64);
    FIELD(sockeye_fault, outward, 80, 64);
    END();
    SIZE(sockeye_event, 64);
    FIELD(sockeye_event, kind, 0, 4);
    FIELD(sockeye_event, cause, 4, 4);
    FIELD(sockeye_event, conn, 8, 8);
    FIELD(sockeye_event, listener, 16, 8);
    FIELD(sockeye_event, user_data, 24, 8);
    FIELD(sockeye_event, data, 32, 8);
    FIELD(sockeye_event, data_len, 40, 4);
    FIELD(sockeye_event, os_error, 44, 4);
    FIELD(sockeye_event, detail, 48, 8);
    FIELD(sockeye_event, flags, 56, 4);
    FIELD(sockeye_event, code, 60, 4);
    END();
    SIZE(sockeye_buffer, 24);
    FIELD(sockeye_buffer, data, 0, 8);
    FIELD(sockeye_buffer, data_len, 8, 4);
    FIELD(sockeye_buffer, capacity, 12, 4);
    FIELD(sockeye_buffer, id, 16, 8);
    END();
    SIZE(sockeye_address, 40);
    FIELD(sockeye_address, family, 0, 2);
    FIELD(sockeye_address, port, 2, 2);
    FIELD(sockeye_address, scope_id, 4, 4);
    FIELD(sockeye_address, bytes, 8, 16);
    FIELD(sockeye_address, local, 24, 16);
    END();
}

static void facts(void)
{
    SIZE(sockeye_model_info, 232);
    FIELD(sockeye_model_info, struct_size, 0, 4);
    FIELD(sockeye_model_info, model, 4, 4);
    FIELD(sockeye_model_info, available, 8, 4);
    FIELD(sockeye_model_info, sockets_max, 12, 4);
    FIELD(sockeye_model_info, name, 16, 32);
    FIELD(sockeye_model_info, reason, 48, 184);
    END();
    SIZE(sockeye_net_info, 224);
    FIELD(sockeye_net_info, struct_size, 0, 4);
    FIELD(sockeye_net_info, model, 4, 4);
    FIELD(sockeye_net_info, drive, 8, 4);
    FIELD(sockeye_net_info, workers, 12, 4);
    FIELD(sockeye_net_info, threads, 16, 4);
    FIELD(sockeye_net_info, queues, 20, 4);
    FIELD(sockeye_net_info, connections_max, 24, 4);
    FIELD(sockeye_net_info, reserved, 28, 4);
    FIELD(sockeye_net_info, model_reason, 32, 96);
    FIELD(sockeye_net_info, drive_reason, 128, 96);
    END();
    SIZE(sockeye_listener_info, 56);
    FIELD(sockeye_listener_info, struct_size, 0, 4);
    FIELD(sockeye_listener_info, port, 4, 4);
    FIELD(sockeye_listener_info, local, 8, 40);
    FIELD(sockeye_listener_info, accepted, 48, 8);
    END();
    SIZE(sockeye_conn_info, 120);
    FIELD(sockeye_conn_info, struct_size, 0, 4);
    FIELD(sockeye_conn_info, queue, 4, 4);
    FIELD(sockeye_conn_info, peer, 8, 40);
    FIELD(sockeye_conn_info, local, 48, 40);
    FIELD(sockeye_conn_info, listener, 88, 8);
    FIELD(sockeye_conn_info, user_data, 96, 8);
    FIELD(sockeye_conn_info, has_credentials, 104, 4);
    FIELD(sockeye_conn_info, peer_pid, 108, 4);
    FIELD(sockeye_conn_info, peer_uid, 112, 4);
    FIELD(sockeye_conn_info, peer_gid, 116, 4);
    END();
}

static void counts(void)
{
    SIZE(sockeye_net_stats, 152);
    FIELD(sockeye_net_stats, struct_size, 0, 4);
    FIELD(sockeye_net_stats, reserved, 4, 4);
    FIELD(sockeye_net_stats, connections, 8, 8);
    FIELD(sockeye_net_stats, accepted, 16, 8);
    FIELD(sockeye_net_stats, accept_failures, 24, 8);
    FIELD(sockeye_net_stats, received_bytes, 32, 8);
    FIELD(sockeye_net_stats, received_messages, 40, 8);
    FIELD(sockeye_net_stats, sent_bytes, 48, 8);
    FIELD(sockeye_net_stats, sent_batches, 56, 8);
    FIELD(sockeye_net_stats, turns, 64, 8);
    FIELD(sockeye_net_stats, waits, 72, 8);
    FIELD(sockeye_net_stats, wakes, 80, 8);
    FIELD(sockeye_net_stats, memory_bytes, 88, 8);
    FIELD(sockeye_net_stats, queued_bytes, 96, 8);
    FIELD(sockeye_net_stats, system_drops, 104, 8);
    FIELD(sockeye_net_stats, queue_drops, 112, 8);
    FIELD(sockeye_net_stats, send_failures, 120, 8);
    FIELD(sockeye_net_stats, frame_bytes, 128, 8);
    FIELD(sockeye_net_stats, send_bytes, 136, 8);
    FIELD(sockeye_net_stats, memory_closes, 144, 8);
    END();
    SIZE(sockeye_conn_stats, 72);
    FIELD(sockeye_conn_stats, struct_size, 0, 4);
    FIELD(sockeye_conn_stats, outbox_messages, 4, 4);
    FIELD(sockeye_conn_stats, outbox_bytes, 8, 8);
    FIELD(sockeye_conn_stats, received_bytes, 16, 8);
    FIELD(sockeye_conn_stats, received_messages, 24, 8);
    FIELD(sockeye_conn_stats, sent_bytes, 32, 8);
    FIELD(sockeye_conn_stats, dropped_messages, 40, 8);
    FIELD(sockeye_conn_stats, system_drops, 48, 8);
    FIELD(sockeye_conn_stats, queue_drops, 56, 8);
    FIELD(sockeye_conn_stats, send_failures, 64, 8);
    END();
    SIZE(sockeye_listener_stats, 72);
    FIELD(sockeye_listener_stats, struct_size, 0, 4);
    FIELD(sockeye_listener_stats, outbox_messages, 4, 4);
    FIELD(sockeye_listener_stats, outbox_bytes, 8, 8);
    FIELD(sockeye_listener_stats, received_bytes, 16, 8);
    FIELD(sockeye_listener_stats, received_messages, 24, 8);
    FIELD(sockeye_listener_stats, sent_bytes, 32, 8);
    FIELD(sockeye_listener_stats, dropped_messages, 40, 8);
    FIELD(sockeye_listener_stats, system_drops, 48, 8);
    FIELD(sockeye_listener_stats, queue_drops, 56, 8);
    FIELD(sockeye_listener_stats, send_failures, 64, 8);
    END();
}

int main(void)
{
    harness_watchdog();
    inputs();
    endpoint();
    daily();
    facts();
    counts();
    REQUIRE_INT(4, sizeof(sockeye_status));
    return 0;
}
