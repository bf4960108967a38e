/* What a fragment with libuv may take for granted. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static uv_loop_t *loop;
static uv_tcp_t server, *client;
static uv_timer_t timer;
static uv_async_t async;

void on_wake(uv_async_t *handle);
void on_tick(uv_timer_t *handle);
void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);
void on_written(uv_write_t *request, int failed);
void on_closed(uv_handle_t *handle);
void on_connected(uv_connect_t *request, int failed);
