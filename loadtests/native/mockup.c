// mockup: single-thread epoll mock of an OpenAI-compatible provider, for gateway benchmarks.
//
// It must cost so little that a gateway under test, not the mock, is what a figure shows: one thread, one buffer a
// connection, no allocation per event. It is no model of a provider's mistakes (tests/support/fake_provider.py is).
//
//   mockup [-p PORT] [-n EVENTS] [-d US_BETWEEN] [-s EVENT_BYTES] [-l US_BEFORE_FIRST] [-b JSON_BYTES] [-g EVENTS_PER_WRITE]
//          [-e FAULTS]
//
// POST any path:
//   * body without "stream":true -> one JSON completion of -b bytes, after -l us
//   * body with "stream":true    -> chunked text/event-stream: -n events of -s bytes, one every -d us, then
//     "data: [DONE]"; every event carries "t":<CLOCK_MONOTONIC us + 10^15>, so the reader can tell its age
// A request overrides the flags with mock:n=50,d=20000,s=220,l=0,b=1024,g=1,e=0 anywhere in its body; with k=1 the events are
// pieces of the arguments of one tool call, {"path":"aaa…"} when put together.
// Of 1,000 requests -e, picked at random, are answered badly, in turn: with 500, by closing without a word, with 429, and by
// closing in the middle of the answer.
// GET /stats -> JSON counters (connections, requests, streams open / done / aborted, faults, time of the last abort).
// -p 0 takes a free port; the port is printed on the first line either way.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 1024, READ_BYTES = 1 << 18, MAX_JSON = 900000, MAX_EVENT_PAD = 15000 };

// Makes every stamp 16 digits without a leading zero, which JSON forbids: a strict gateway would refuse the event.
static const uint64_t STAMP_BASE = 1000000000000000u;

typedef struct {
    long events, gap_us, event_bytes, first_us, json_bytes, per_write, faults, is_call;
} params;

typedef struct {
    int fd;
    int heap_pos; // place in the timer heap, -1 when no timer runs
    char *in;
    size_t in_len, in_cap;
    char *out;
    size_t out_len, out_cap, out_off;
    int busy, stream, wants_write;
    int is_cut; // closes in the middle of its answer
    params p;
    long sent;
    uint64_t due;
} conn;

static struct {
    uint64_t accepted, open, requests, streams_open, streams_done, streams_aborted, last_abort_us, chunks, stalls, faults;
} stats;

static params defaults = {50, 20000, 220, 0, 1024, 1, 0, 0};
static int epoll_fd;

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + t.tv_nsec / 1000;
}

// ---- timers: a binary heap of connections by due time, so 1,000 paced streams cost one wake-up each and no scan

static conn **heap;
static int heap_len, heap_cap;

static void heap_set(int i, conn *c) {
    heap[i] = c;
    c->heap_pos = i;
}

static void heap_up(int i) {
    conn *c = heap[i];
    while (i) {
        int parent = (i - 1) / 2;
        if (heap[parent]->due <= c->due) break;
        heap_set(i, heap[parent]);
        i = parent;
    }
    heap_set(i, c);
}

static void heap_down(int i) {
    conn *c = heap[i];
    for (;;) {
        int child = 2 * i + 1;
        if (child >= heap_len) break;
        if (child + 1 < heap_len && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= c->due) break;
        heap_set(i, heap[child]);
        i = child;
    }
    heap_set(i, c);
}

static void timer_add(conn *c, uint64_t due) {
    c->due = due;
    if (heap_len == heap_cap) {
        heap_cap = heap_cap ? heap_cap * 2 : 1024;
        heap = realloc(heap, heap_cap * sizeof *heap);
    }
    heap[heap_len] = c;
    c->heap_pos = heap_len;
    heap_len++;
    heap_up(heap_len - 1);
}

static void timer_remove(conn *c) {
    int i = c->heap_pos;
    if (i < 0) return;
    c->heap_pos = -1;
    heap_len--;
    if (i < heap_len) {
        conn *moved = heap[heap_len];
        heap_set(i, moved);
        heap_up(i);
        heap_down(moved->heap_pos);
    }
}

// ---- connections

static void close_conn(conn *c) {
    timer_remove(c);
    if (c->busy && c->stream) {
        stats.streams_open--;
        stats.streams_aborted++;
        stats.last_abort_us = now_us();
    }
    close(c->fd);
    stats.open--;
    free(c->in);
    free(c->out);
    free(c);
}

static void watch(conn *c, int wants_write) {
    if (c->wants_write == wants_write) return;
    c->wants_write = wants_write;
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

// 0: all is out; 1: the socket is full; -1: the connection is closed and `c` is freed
static int flush_out(conn *c) {
    while (c->out_off < c->out_len) {
        ssize_t n = write(c->fd, c->out + c->out_off, c->out_len - c->out_off);
        if (n < 0) {
            if (errno == EAGAIN) {
                stats.stalls++;
                watch(c, 1);
                return 1;
            }
            close_conn(c);
            return -1;
        }
        c->out_off += n;
    }
    c->out_off = c->out_len = 0;
    watch(c, 0);
    return 0;
}

static void put(conn *c, const void *bytes, size_t n) {
    if (c->out_len + n > c->out_cap) {
        c->out_cap = (c->out_len + n) * 2 + 4096;
        c->out = realloc(c->out, c->out_cap);
    }
    memcpy(c->out + c->out_len, bytes, n);
    c->out_len += n;
}

static void put_text(conn *c, const char *text) { put(c, text, strlen(text)); }

// ---- answers

static const char EVENT_HEAD[] =
    "data: {\"id\":\"chatcmpl-mock00000001\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
    "\"model\":\"mock\",\"t\":%llu,\"choices\":[{\"index\":0,\"delta\":{%s";
static const char EVENT_TAIL[] = "\"},\"finish_reason\":null}]}\n\n";
static const char CALL_START[] =
    "\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"call_mock0001\",\"type\":\"function\","
    "\"function\":{\"name\":\"read_file\",\"arguments\":\"{\\\"path\\\":\\\"";
static const char CALL_PIECE[] = "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"";
static const char CALL_TAIL[] = "\"}}]},\"finish_reason\":null}]}\n\n";
static const char CALL_END[] = "\\\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n";
static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    "x-request-id: req_mock\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char STREAM_TAIL[] =
    "5e\r\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":512,\"completion_tokens\":50,\"total_tokens\":562}}\n\n"
    "\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
static const char JSON_HEAD[] =
    "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"mock\","
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"";
static const char JSON_TAIL[] =
    "\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":512,\"completion_tokens\":200,\"total_tokens\":712}}";

static int take_request(conn *c);

static void put_event(conn *c) {
    char event[16384], size[16];
    const char *start = !c->p.is_call ? "\"content\":\"" : c->sent ? CALL_PIECE : CALL_START;
    const char *end = !c->p.is_call ? EVENT_TAIL : c->sent + 1 < c->p.events ? CALL_TAIL : CALL_END;
    int n = snprintf(event, 512, EVENT_HEAD, (unsigned long long)(now_us() + STAMP_BASE), start);
    int tail = strlen(end);
    int pad = (int)c->p.event_bytes - n - tail;
    if (pad < 1) pad = 1;
    if (pad > MAX_EVENT_PAD) pad = MAX_EVENT_PAD;
    memset(event + n, 'a', pad);
    n += pad;
    memcpy(event + n, end, tail);
    n += tail;
    put(c, size, snprintf(size, sizeof size, "%x\r\n", n));
    put(c, event, n);
    put(c, "\r\n", 2);
    stats.chunks++;
    c->sent++;
}

static void end_answer(conn *c) {
    c->busy = 0;
    if (c->stream) {
        c->stream = 0;
        stats.streams_open--;
        stats.streams_done++;
    }
}

// What was written arrives; then the connection is closed and `c` is freed
static int hang_up(conn *c) {
    if (c->out_len && flush_out(c) < 0) return -1;
    close_conn(c);
    return -1;
}

static int answer_json(conn *c) {
    static char pad[MAX_JSON];
    if (!pad[0]) memset(pad, 'a', sizeof pad);
    long total = c->p.json_bytes > MAX_JSON ? MAX_JSON : c->p.json_bytes;
    long filling = total - (long)(sizeof JSON_HEAD - 1) - (long)(sizeof JSON_TAIL - 1);
    if (filling < 1) filling = 1;
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_mock\r\n"
                     "Content-Length: %ld\r\n\r\n",
                     (long)(sizeof JSON_HEAD - 1) + filling + (long)(sizeof JSON_TAIL - 1));
    put(c, head, n);
    put_text(c, JSON_HEAD);
    if (c->is_cut) return hang_up(c);
    put(c, pad, filling);
    put_text(c, JSON_TAIL);
    end_answer(c);
    if (flush_out(c) < 0) return -1;
    return take_request(c);
}

static int answer_end(conn *c) {
    put_text(c, STREAM_TAIL);
    end_answer(c);
    if (flush_out(c) < 0) return -1;
    return take_request(c);
}

// Those of `-e`; 1: this answer is a good one after all
static int answer_badly(conn *c) {
    static const char SICK[] = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
                               "Content-Length: 28\r\n\r\n{\"error\":{\"message\":\"sick\"}}";
    static const char BUSY[] = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
                               "Content-Length: 28\r\n\r\n{\"error\":{\"message\":\"busy\"}}";
    if (c->p.faults <= random() % 1000) return 1;
    int kind = stats.faults++ % 4;
    if (kind == 1) return hang_up(c);
    if (kind == 3) {
        c->is_cut = 1;
        return 1;
    }
    put_text(c, kind == 0 ? SICK : BUSY);
    end_answer(c);
    if (flush_out(c) < 0) return -1;
    return take_request(c);
}

static int burst(conn *c) {
    while (c->sent < c->p.events) {
        for (long i = 0; i < c->p.per_write && c->sent < c->p.events; i++) put_event(c);
        int r = flush_out(c);
        if (r < 0) return -1;
        if (c->is_cut && c->sent * 2 >= c->p.events) return hang_up(c);
        if (r == 1) return 0; // EPOLLOUT goes on from here
    }
    return answer_end(c);
}

// The next step of an answer; -1: `c` is closed and freed
static int advance(conn *c) {
    if (!c->sent && c->p.faults && !c->is_cut) {
        int r = answer_badly(c);
        if (r <= 0) return r;
    }
    if (!c->stream) return answer_json(c);
    if (c->sent == 0) put_text(c, STREAM_HEAD);
    if (c->p.gap_us == 0) return burst(c);
    uint64_t base = c->due; // from the due time, not from now: a late wake-up must not lower the rate
    if (c->sent < c->p.events) put_event(c);
    if (c->is_cut && c->sent * 2 >= c->p.events) return hang_up(c);
    if (c->sent >= c->p.events) return answer_end(c);
    if (flush_out(c) < 0) return -1;
    timer_add(c, base + c->p.gap_us);
    return 0;
}

static void put_stats(conn *c) {
    char body[512], head[128];
    int n = snprintf(body, sizeof body,
                     "{\"open\":%lu,\"accepted\":%lu,\"requests\":%lu,\"streams_open\":%lu,\"streams_done\":%lu,"
                     "\"streams_aborted\":%lu,\"last_abort_us\":%lu,\"chunks\":%lu,\"stalls\":%lu,\"faults\":%lu,\"now_us\":%lu}",
                     stats.open, stats.accepted, stats.requests, stats.streams_open, stats.streams_done,
                     stats.streams_aborted, stats.last_abort_us, stats.chunks, stats.stalls, stats.faults, now_us());
    int m = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", n);
    put(c, head, m);
    put(c, body, n);
}

// ---- requests

static void read_overrides(const char *body, size_t n, params *p) {
    const char *at = memmem(body, n, "mock:", 5), *end = body + n;
    if (!at) return;
    at += 5;
    while (at + 2 < end && at[1] == '=') {
        char key = *at;
        long value = 0;
        at += 2;
        while (at < end && *at >= '0' && *at <= '9') value = value * 10 + *at++ - '0';
        if (key == 'n') p->events = value;
        else if (key == 'd') p->gap_us = value;
        else if (key == 's') p->event_bytes = value;
        else if (key == 'l') p->first_us = value;
        else if (key == 'b') p->json_bytes = value;
        else if (key == 'g') p->per_write = value ? value : 1;
        else if (key == 'e') p->faults = value;
        else if (key == 'k') p->is_call = value;
        if (at < end && *at == ',') at++;
        else break;
    }
}

static char *find_header(char *head, size_t n, const char *name) {
    size_t name_len = strlen(name);
    char *end = head + n;
    for (char *at = head; at < end;) {
        char *newline = memchr(at, '\n', end - at);
        if (!newline) return 0;
        at = newline + 1;
        if (at + name_len < end && !strncasecmp(at, name, name_len)) return at + name_len;
    }
    return 0;
}

// Length of the request's body, or -1 when its end has not come yet (chunked)
static long body_length(conn *c, size_t head_len) {
    char *value = find_header(c->in, head_len, "content-length:");
    if (value) return strtol(value, 0, 10);
    if (!find_header(c->in, head_len, "transfer-encoding:")) return 0;
    char *from = c->in + head_len - 2;
    char *last = memmem(from, c->in + c->in_len - from, "\r\n0\r\n\r\n", 7);
    return last ? (long)(last + 7 - c->in - head_len) : -1;
}

// Take one request from the buffer, if it is whole and no answer runs; -1: `c` is closed and freed
static int take_request(conn *c) {
    if (c->busy || c->out_len) return 0;
    char *head_end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!head_end) return 0;
    size_t head_len = head_end - c->in + 4;
    long body_len = body_length(c, head_len);
    if (body_len < 0) return 0;
    size_t total = head_len + body_len;
    if (c->in_len < total) {
        if (find_header(c->in, head_len, "expect: 100") && c->in_len == head_len)
            if (write(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) < 0) return 0;
        return 0;
    }
    stats.requests++;
    if (!memcmp(c->in, "GET /stats", 10)) {
        put_stats(c);
    } else {
        char *body = c->in + head_len;
        c->p = defaults;
        read_overrides(body, body_len, &c->p);
        c->busy = 1;
        c->sent = 0;
        c->is_cut = 0;
        c->stream = memmem(body, body_len, "\"stream\":true", 13) || memmem(body, body_len, "\"stream\": true", 14);
        if (c->stream) stats.streams_open++;
    }
    memmove(c->in, c->in + total, c->in_len - total);
    c->in_len -= total;
    if (!c->busy) return flush_out(c) < 0 ? -1 : 0;
    if (c->p.first_us) {
        timer_add(c, now_us() + c->p.first_us);
        return 0;
    }
    c->due = now_us();
    return advance(c);
}

// ---- the loop

static void accept_all(int listener) {
    int one = 1;
    for (;;) {
        int fd = accept4(listener, 0, 0, SOCK_NONBLOCK);
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->heap_pos = -1;
        stats.accepted++;
        stats.open++;
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static int read_all(conn *c) {
    static char bytes[READ_BYTES];
    for (;;) {
        ssize_t n = read(c->fd, bytes, sizeof bytes);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            close_conn(c);
            return -1;
        }
        if (n < 0) return 0;
        if (c->in_len + n > c->in_cap) {
            c->in_cap = (c->in_len + n) * 2;
            c->in = realloc(c->in, c->in_cap);
        }
        memcpy(c->in + c->in_len, bytes, n);
        c->in_len += n;
        if (n < (ssize_t)sizeof bytes) return 0;
    }
}

static void on_event(conn *c, uint32_t what) {
    if (what & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
        close_conn(c);
        return;
    }
    if (what & EPOLLIN && (read_all(c) < 0 || take_request(c) < 0)) return;
    if (what & EPOLLOUT && flush_out(c) == 0) {
        if (c->busy && c->stream && c->p.gap_us == 0) advance(c);
        else take_request(c);
    }
}

static void run_timers(void) {
    uint64_t t = now_us();
    while (heap_len && heap[0]->due <= t) {
        conn *c = heap[0];
        timer_remove(c);
        advance(c);
    }
}

static int open_listener(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    if (bind(fd, (void *)&a, sizeof a) || listen(fd, 4096) || getsockname(fd, (void *)&a, &size)) {
        perror("mockup");
        exit(1);
    }
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    int port = 9000, option;
    while ((option = getopt(argc, argv, "p:n:d:s:l:b:g:e:")) != -1) switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'n': defaults.events = atol(optarg); break;
        case 'd': defaults.gap_us = atol(optarg); break;
        case 's': defaults.event_bytes = atol(optarg); break;
        case 'l': defaults.first_us = atol(optarg); break;
        case 'b': defaults.json_bytes = atol(optarg); break;
        case 'g': defaults.per_write = atol(optarg) > 0 ? atol(optarg) : 1; break;
        case 'e': defaults.faults = atol(optarg); break;
        default: return 2;
        }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files = {20000, 20000};
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = open_listener(port);
    epoll_fd = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = 0};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
    static struct epoll_event events[MAX_EVENTS];
    for (;;) {
        struct timespec wait, *limit = 0;
        if (heap_len) {
            uint64_t t = now_us(), left = heap[0]->due > t ? heap[0]->due - t : 0;
            wait = (struct timespec){left / 1000000, (left % 1000000) * 1000};
            limit = &wait;
        }
        int n = epoll_pwait2(epoll_fd, events, MAX_EVENTS, limit, 0);
        // One event per descriptor and wait, so a connection freed here is not met again in this batch.
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) on_event(events[i].data.ptr, events[i].events);
            else accept_all(listener);
        }
        run_timers();
    }
}
