/* Every function that the header declares is in the library, under its own address: one that is not
   exported does not link here. */
#include "harness.h"

typedef void (*any_function)(void);

struct symbol {
    const char *name;
    any_function address;
};

#define SYMBOL(name) {#name, (any_function)name}

static const struct symbol symbols[] = {
    SYMBOL(sockeye_status_text),
    SYMBOL(sockeye_cause_text),
    SYMBOL(sockeye_os_error_text),
    SYMBOL(sockeye_last_error),
    SYMBOL(sockeye_version),
    SYMBOL(sockeye_abi_version),
    SYMBOL(sockeye_model_probe),
    SYMBOL(sockeye_model_name),
    SYMBOL(sockeye_model_from_name),
    SYMBOL(sockeye_config_init),
    SYMBOL(sockeye_init),
    SYMBOL(sockeye_shutdown),
    SYMBOL(sockeye_free),
    SYMBOL(sockeye_discard),
    SYMBOL(sockeye_endpoint_init),
    SYMBOL(sockeye_listen),
    SYMBOL(sockeye_listener_close),
    SYMBOL(sockeye_connect),
    SYMBOL(sockeye_send),
    SYMBOL(sockeye_send_many),
    SYMBOL(sockeye_close),
    SYMBOL(sockeye_close_with),
    SYMBOL(sockeye_conn_pause),
    SYMBOL(sockeye_conn_resume),
    SYMBOL(sockeye_conn_set_user_data),
    SYMBOL(sockeye_conn_set_queue),
    SYMBOL(sockeye_fault_init),
    SYMBOL(sockeye_fault_set),
    SYMBOL(sockeye_message_init),
    SYMBOL(sockeye_send_message),
    SYMBOL(sockeye_poll_events),
    SYMBOL(sockeye_queue_poll_events),
    SYMBOL(sockeye_send_to),
    SYMBOL(sockeye_event_address),
    SYMBOL(sockeye_listener_join),
    SYMBOL(sockeye_listener_leave),
    SYMBOL(sockeye_listener_get_stats),
    SYMBOL(sockeye_flush),
    SYMBOL(sockeye_queue_flush),
    SYMBOL(sockeye_post),
    SYMBOL(sockeye_wait_handle),
    SYMBOL(sockeye_wait_port),
    SYMBOL(sockeye_timer_start),
    SYMBOL(sockeye_timer_stop),
    SYMBOL(sockeye_set_callback),
    SYMBOL(sockeye_buffer_acquire),
    SYMBOL(sockeye_event_hold),
    SYMBOL(sockeye_buffer_release),
    SYMBOL(sockeye_net_get_info),
    SYMBOL(sockeye_net_get_stats),
    SYMBOL(sockeye_listener_get_info),
    SYMBOL(sockeye_conn_get_info),
    SYMBOL(sockeye_conn_get_stats),
    SYMBOL(sockeye_conns_get_stats),
    SYMBOL(sockeye_address_parse),
    SYMBOL(sockeye_address_format),
    SYMBOL(sockeye_set_log),
};

#define COUNT (sizeof symbols / sizeof symbols[0])

int main(void)
{
    harness_watchdog();
    for (size_t i = 0; i < COUNT; i++) {
        REQUIRE(symbols[i].address != NULL);
        for (size_t j = 0; j < i; j++) {
            if (symbols[i].address != symbols[j].address) continue;
            fprintf(stderr, "%s is %s\n", symbols[i].name, symbols[j].name);
            return 1;
        }
    }
    return 0;
}
