// loadc: single-thread epoll HTTP/1.1 load client for gateway benchmarks, unary and SSE.
//
//   loadc -p PORT [-u PATH] [-c CONNS] [-t SECONDS] [-w WARMUP_S] [-B BODY_BYTES] [-s] [-m MOCK] [-r RATE] [-k MAXREQ]
//         [-H "Name: value"] [-R RAMP_US] [-a] [-z] [-n] [-G] [-P] [-x]    (environment: LOADC_KEY, LOADC_MODEL)
//   -s       "stream":true; counts SSE events, time to first event, gaps between events, and, where events carry
//            "t":<16 digits> (mockup's do), the one-way delay from the provider's write to our read
//   -r RATE  open loop: RATE requests/s on at most CONNS connections, latency counted from the scheduled time, so a
//            gateway that falls behind cannot hide it. Without -r: closed loop, each connection sends its next
//            request when the last is answered
//   -m X     puts "mock:X" in the body's user field, with -a in the user's text (see mockup.c)
//   -a       speaks Anthropic Messages: posts to /v1/messages, and of the SSE events only content_block_delta count
//   -R US    spreads the first requests of the connections over US microseconds
//   -z       "temperature":0 instead of 0.7, so that equal requests may be answered from the gateway's cache
//   -n       numbers the requests: no two have the same text, nor those of two clients
//   -G       GET without a body instead of POST
//   -P       adds "ports": answers by the local port of each connection
//   -x       in step with who started it: the line "begin" when measuring begins, and after the result the connections
//            stay open until standard input ends, so that the cost of closing them is not counted
// Answers that are not 2xx are refusals: `good` counts the others, and each of both has its own latencies; `n503` and `later` count
// refusals with 503 and with Retry-After.
// Prints one JSON line. Samples before WARMUP_S are dropped. Microseconds throughout.
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

// ---- log-linear histogram: 64 sub-buckets per power of two, under 1.6 % error, 1 us to about 1,000 s

enum { SUB = 64, BUCKETS = SUB * 32 };

static const uint64_t STAMP_BASE = 1000000000000000u; // see mockup.c

typedef struct {
    uint64_t count, max, bucket[BUCKETS];
} histogram;

static void note(histogram *h, uint64_t value) {
    int i = value;
    if (value >= SUB) {
        int k = 63 - __builtin_clzll(value);
        i = (k - 5) * SUB + ((value >> (k - 6)) & (SUB - 1));
    }
    if (i >= BUCKETS) i = BUCKETS - 1;
    h->bucket[i]++;
    h->count++;
    if (value > h->max) h->max = value;
}

static double quantile(const histogram *h, double q) {
    if (!h->count) return -1;
    uint64_t wanted = (uint64_t)(q * h->count), seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen <= wanted) continue;
        if (i < SUB) return i;
        int k = i / SUB + 5;
        return (double)(((uint64_t)(SUB + (i & (SUB - 1)))) << (k - 6));
    }
    return h->max;
}

// ---- options and counters

static int port = 9000, conns = 64, stream, max_requests, is_get, in_step, by_port, is_messages, is_cold, is_numbered;
static double seconds = 5, warmup = 1, rate;
static const char *path, *mock_params, *extra_header;
static long body_bytes = 2048, ramp_us;

static int epoll_fd, measuring;
static char *request;
static size_t request_len;
static struct sockaddr_in target;
static histogram latency, good, refused, refused_since_sent, first_byte, first_event, gap, one_way;
static uint64_t done, errors, events, payload_bytes, reads, non_2xx, busy, later, reconnects;

enum state { IDLE, SENDING, HEAD, SIZED, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

typedef struct {
    int fd, wants_write, has_event, must_close, is_refused;
    enum state state;
    size_t sent;
    uint64_t began, wrote, last_event, answers, number;
    long left; // bytes of the body or chunk still to come
    char head[8192], size[24], event[8192];
    int head_len, size_len, event_len;
} conn;

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + t.tv_nsec / 1000;
}

// ---- sending

static void watch(conn *c, int wants_write) {
    if (c->wants_write == wants_write) return;
    c->wants_write = wants_write;
    struct epoll_event e = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void dial(conn *c) {
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (void *)&target, sizeof target) < 0 && errno != EINPROGRESS) {
        close(c->fd);
        return;
    }
    c->wants_write = 1;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

// All connections send the same bytes, but for the number, which stands before the end of the body.
static void stamp(const conn *c) {
    static const int digits = 12, end = 4;
    uint64_t left = c->number;
    for (char *p = request + request_len - end - 1, *first = p - digits + 1; p >= first; p--, left /= 10) *p = '0' + left % 10;
}

static void send_more(conn *c) {
    if (is_numbered) stamp(c);
    while (c->sent < request_len) {
        ssize_t n = write(c->fd, request + c->sent, request_len - c->sent);
        if (n < 0) {
            if (errno == EAGAIN || errno == ENOTCONN) watch(c, 1);
            return; // any other error comes back as EPOLLERR or EPOLLHUP
        }
        c->sent += n;
    }
    watch(c, 0);
    c->wrote = now_us();
    c->state = HEAD;
    c->head_len = 0;
}

static void begin(conn *c, uint64_t at) {
    static uint64_t numbers;
    if (!numbers) numbers = at; // microseconds: more than there are requests, so a later client begins behind
    c->began = at;
    c->number = numbers++;
    c->last_event = 0;
    c->sent = 0;
    c->has_event = c->event_len = c->must_close = 0;
    c->state = SENDING;
    send_more(c);
}

static void fail(conn *c) {
    if (measuring) errors++;
    close(c->fd);
    reconnects++;
    enum state was = c->state;
    c->state = IDLE;
    dial(c);
    if (!rate && was != IDLE) begin(c, now_us());
}

static void complete(conn *c) {
    uint64_t t = now_us();
    if (measuring) {
        done++;
        c->answers++;
        note(&latency, t - c->began);
        note(c->is_refused ? &refused : &good, t - c->began);
        if (c->is_refused) note(&refused_since_sent, t - c->wrote);
    }
    c->state = IDLE;
    if (c->must_close) {
        close(c->fd);
        dial(c);
    }
    if (!rate && !(max_requests && done >= (uint64_t)max_requests)) begin(c, t);
}

// ---- receiving

static void on_event(conn *c, char *bytes, int n, uint64_t t) {
    static const char delta[] = "event: content_block_delta\n";
    if (is_messages && (n < (int)sizeof delta || memcmp(bytes, delta, sizeof delta - 1))) return;
    if (!measuring) {
        c->has_event = 1;
        c->last_event = t;
        return;
    }
    events++;
    if (!c->has_event) {
        c->has_event = 1;
        note(&first_event, t - c->began);
    } else if (c->last_event) {
        note(&gap, t - c->last_event);
    }
    c->last_event = t;
    char *stamp = memmem(bytes, n < 400 ? n : 400, "\"t\":", 4);
    if (!stamp || stamp + 20 > bytes + n) return;
    uint64_t written = 0;
    for (int i = 4; i < 20; i++) {
        if (stamp[i] < '0' || stamp[i] > '9') return;
        written = written * 10 + stamp[i] - '0';
    }
    written -= STAMP_BASE;
    if (t >= written) note(&one_way, t - written);
}

// Cut the body into events at blank lines; an event that spans reads is put together in c->event
static void on_payload(conn *c, char *bytes, long n, uint64_t t) {
    if (measuring) payload_bytes += n;
    if (!stream) return;
    while (n > 0) {
        if (c->event_len == 0) {
            char *end = memmem(bytes, n, "\n\n", 2);
            if (end) {
                on_event(c, bytes, end - bytes + 2, t);
                n -= end - bytes + 2;
                bytes = end + 2;
                continue;
            }
        }
        long room = (long)sizeof c->event - c->event_len, k = n < room ? n : room;
        if (k == 0) { // an event longer than the buffer is counted in parts
            c->event_len = 0;
            continue;
        }
        int from = c->event_len ? c->event_len - 1 : 0;
        memcpy(c->event + c->event_len, bytes, k);
        c->event_len += k;
        char *end = memmem(c->event + from, c->event_len - from, "\n\n", 2);
        if (end) {
            int len = end - c->event + 2, used = len - (c->event_len - k);
            on_event(c, c->event, len, t);
            c->event_len = 0;
            bytes += used;
            n -= used;
        } else {
            bytes += k;
            n -= k;
        }
    }
}

// Collect the head; returns how many of the bytes belonged to it, -1 for an answer we cannot read
static long on_head(conn *c, char *bytes, long n) {
    long room = (long)sizeof c->head - 1 - c->head_len, k = n < room ? n : room;
    int old = c->head_len;
    memcpy(c->head + old, bytes, k);
    c->head_len += k;
    c->head[c->head_len] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) return c->head_len > 8000 ? -1 : k;
    int head_len = end - c->head + 4;
    c->head[head_len] = 0;
    c->is_refused = c->head[9] != '2';
    if (c->is_refused && measuring) {
        non_2xx++;
        busy += !memcmp(c->head + 9, "503", 3);
        later += strcasestr(c->head, "\r\nretry-after:") != 0;
    }
    c->must_close = strcasestr(c->head, "\r\nconnection: close") != 0;
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    if (length) {
        c->left = strtol(length + 17, 0, 10);
        c->state = SIZED;
    } else if (strcasestr(c->head, "\r\ntransfer-encoding:")) {
        c->state = CHUNK_SIZE;
        c->size_len = 0;
    } else {
        return -1;
    }
    return head_len - old;
}

static void on_size_byte(conn *c, char byte) {
    if (byte != '\n') {
        if (c->size_len < 20) c->size[c->size_len++] = byte;
        return;
    }
    c->size[c->size_len] = 0;
    c->left = strtol(c->size, 0, 16);
    c->size_len = 0;
    c->state = c->left ? CHUNK_DATA : TRAILER;
}

// 1: the answer is complete; 0: more must come; -1: not HTTP we understand
static int feed(conn *c, char *bytes, long n, uint64_t t) {
    while (n > 0) {
        long used = 1;
        switch (c->state) {
        case HEAD:
            used = on_head(c, bytes, n);
            if (used < 0) return -1;
            if (c->state == SIZED && !c->left) return 1;
            break;
        case SIZED:
        case CHUNK_DATA:
            used = n < c->left ? n : c->left;
            on_payload(c, bytes, used, t);
            c->left -= used;
            if (!c->left && c->state == SIZED) return 1;
            if (!c->left) c->state = CHUNK_END;
            break;
        case CHUNK_SIZE: on_size_byte(c, *bytes); break;
        case CHUNK_END:
            if (*bytes == '\n') c->state = CHUNK_SIZE;
            break;
        case TRAILER:
            if (*bytes == '\n') return 1;
            break;
        default: return -1;
        }
        bytes += used;
        n -= used;
    }
    return 0;
}

// ---- the loop

static const char chat_start[] =
    "{\"model\":\"%s\",%s\"user\":\"mock:%s\",\"temperature\":%s,\"messages\":[{\"role\":\"system\","
    "\"content\":\"You are a helpful assistant.\"},{\"role\":\"user\",\"content\":\"";
static const char messages_start[] =
    "{\"model\":\"%s\",%s\"max_tokens\":1024,\"temperature\":%s,\"system\":\"You are a helpful assistant.\","
    "\"messages\":[{\"role\":\"user\",\"content\":\"mock:%s ";

static void build_request(void) {
    static const char filler[] = "lorem ipsum dolor sit amet, ", end[] = "\"}]}";
    const char *model = getenv("LOADC_MODEL"), *key = getenv("LOADC_KEY");
    char *body = malloc(body_bytes + 4096);
    const char *named = model ? model : "gpt-mock", *streams = stream ? "\"stream\":true," : "";
    const char *mock = mock_params ? mock_params : "", *temperature = is_cold ? "0" : "0.7";
    long n = is_messages ? sprintf(body, messages_start, named, streams, temperature, mock)
                         : sprintf(body, chat_start, named, streams, mock, temperature);
    for (; n + (long)sizeof end - 1 < body_bytes; n++) body[n] = filler[n % (sizeof filler - 1)];
    memcpy(body + n, end, sizeof end - 1);
    n += sizeof end - 1;
    request = malloc(n + 4096);
    int head = sprintf(request,
                       "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: %s\r\nAccept: %s\r\n"
                       "%s%s\r\nContent-Type: application/json\r\nx-stainless-lang: python\r\n"
                       "%s%sContent-Length: %ld\r\n\r\n",
                       path, port, is_messages ? "Anthropic/Python 1.9.0" : "OpenAI/Python 2.8.0",
                       stream ? "text/event-stream" : "application/json",
                       is_messages ? "anthropic-version: 2023-06-01\r\nx-api-key: " : "Authorization: Bearer ",
                       key ? key : "sk-test-0123456789abcdef0123456789abcdef", extra_header ? extra_header : "",
                       extra_header ? "\r\n" : "", n);
    memcpy(request + head, body, n);
    request_len = head + n;
    free(body);
}

static void build_get(void) {
    request = malloc(4096);
    request_len = sprintf(request, "GET %.2000s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n\r\n", path, port);
}

static void on_ready(conn *c, uint32_t what) {
    static char bytes[1 << 18];
    if (what & (EPOLLERR | EPOLLHUP)) {
        fail(c);
        return;
    }
    if (what & EPOLLOUT) {
        if (c->state == SENDING) send_more(c);
        else watch(c, 0);
    }
    if (!(what & EPOLLIN)) return;
    ssize_t n = read(c->fd, bytes, sizeof bytes);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        fail(c);
        return;
    }
    uint64_t t = now_us();
    if (measuring) {
        reads++;
        if (c->state == HEAD && c->head_len == 0) note(&first_byte, t - c->began);
    }
    int end = feed(c, bytes, n, t);
    if (end < 0) fail(c);
    else if (end == 1) complete(c);
}

// Start what is due; returns microseconds until the next start, at most `wait`
static int64_t start_due(conn *all, uint64_t t, uint64_t t_start, int64_t wait, uint64_t *late) {
    static uint64_t started;
    static int next;
    while (rate || started < (uint64_t)conns) {
        uint64_t due = t_start + (rate ? (uint64_t)(started * 1e6 / rate) : (uint64_t)((double)ramp_us * started / conns));
        if (due > t) return (int64_t)(due - t) < wait ? (int64_t)(due - t) : wait;
        if (!rate) {
            begin(&all[started++], t);
            continue;
        }
        conn *free_one = 0;
        for (int i = 0; i < conns && !free_one; i++)
            if (all[(next + i) % conns].state == IDLE) free_one = &all[(next + i) % conns];
        if (!free_one) { // its latency will count the wait: `due` stays what it was
            (*late)++;
            return wait;
        }
        next = (int)(free_one - all) + 1;
        started++;
        begin(free_one, due);
    }
    return wait;
}

static void print_ports(const conn *all) {
    printf("\"ports\":{");
    for (int i = 0; i < conns; i++) {
        struct sockaddr_in own;
        socklen_t size = sizeof own;
        if (getsockname(all[i].fd, (void *)&own, &size)) own.sin_port = 0;
        printf("%s\"%d\":%lu", i ? "," : "", ntohs(own.sin_port), all[i].answers);
    }
    printf("},");
}

static void print_result(const conn *all, double elapsed, uint64_t late) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double cpu = u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    printf("{\"secs\":%.2f,\"reqs\":%lu,\"rps\":%.1f,\"err\":%lu,\"non2xx\":%lu,\"reconn\":%lu,\"late\":%lu,", elapsed,
           done, done / elapsed, errors, non_2xx, reconnects, late);
    printf("\"lat_p50\":%.0f,\"lat_p90\":%.0f,\"lat_p99\":%.0f,\"lat_max\":%lu,", quantile(&latency, .5),
           quantile(&latency, .9), quantile(&latency, .99), latency.max);
    printf("\"ttfb_p50\":%.0f,\"ttfb_p99\":%.0f,", quantile(&first_byte, .5), quantile(&first_byte, .99));
    printf("\"good\":%lu,\"good_p50\":%.0f,\"good_p99\":%.0f,\"n503\":%lu,\"later\":%lu,", good.count, quantile(&good, .5),
           quantile(&good, .99), busy, later);
    printf("\"ref_sent_p50\":%.0f,\"ref_sent_p99\":%.0f,", quantile(&refused_since_sent, .5), quantile(&refused_since_sent, .99));
    printf("\"ref_p50\":%.0f,\"ref_p99\":%.0f,\"ref_max\":%lu,", quantile(&refused, .5), quantile(&refused, .99), refused.max);
    if (by_port) print_ports(all);
    printf("\"events\":%lu,\"eps\":%.0f,\"ev_per_read\":%.2f,\"ttfe_p50\":%.0f,\"ttfe_p99\":%.0f,", events,
           events / elapsed, reads ? (double)events / reads : 0, quantile(&first_event, .5), quantile(&first_event, .99));
    printf("\"gap_p50\":%.0f,\"gap_p99\":%.0f,\"ow_p50\":%.0f,\"ow_p99\":%.0f,\"ow_max\":%lu,", quantile(&gap, .5),
           quantile(&gap, .99), quantile(&one_way, .5), quantile(&one_way, .99), one_way.max);
    printf("\"mbytes\":%.1f,\"client_cpu_pct\":%.0f}\n", payload_bytes / 1e6, 100 * cpu / (elapsed + warmup));
}

static void read_options(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "p:u:c:t:w:B:sm:r:k:H:R:aznGPx")) != -1) switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'c': conns = atoi(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 'B': body_bytes = atol(optarg); break;
        case 's': stream = 1; break;
        case 'm': mock_params = optarg; break;
        case 'r': rate = atof(optarg); break;
        case 'k': max_requests = atoi(optarg); break;
        case 'H': extra_header = optarg; break;
        case 'R': ramp_us = atol(optarg); break;
        case 'a': is_messages = 1; break;
        case 'z': is_cold = 1; break;
        case 'n': is_numbered = 1; break;
        case 'G': is_get = 1; break;
        case 'P': by_port = 1; break;
        case 'x': in_step = 1; break;
        default: exit(2);
        }
    if (!path) path = is_messages ? "/v1/messages" : "/v1/chat/completions";
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files = {20000, 20000};
    setrlimit(RLIMIT_NOFILE, &files);
    target = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (is_get) build_get();
    else build_request();
    epoll_fd = epoll_create1(0);
    conn *all = calloc(conns, sizeof *all);
    for (int i = 0; i < conns; i++) dial(&all[i]);
    static struct epoll_event ready[1024];
    uint64_t late = 0, t_start = now_us(), t_measure = t_start + warmup * 1e6, t_end = t_measure + seconds * 1e6;
    for (;;) {
        uint64_t t = now_us();
        if (!measuring && t >= t_measure) {
            measuring = 1;
            t_measure = t;
            if (in_step && (puts("begin") < 0 || fflush(stdout))) return 1;
        }
        if (t >= t_end || (max_requests && done >= (uint64_t)max_requests)) break;
        int64_t wait = t_end - t;
        if (!measuring && (int64_t)(t_measure - t) < wait) wait = t_measure - t;
        wait = start_due(all, t, t_start, wait, &late);
        if (wait < 0) wait = 0;
        struct timespec limit = {wait / 1000000, (wait % 1000000) * 1000};
        int n = epoll_pwait2(epoll_fd, ready, 1024, &limit, 0);
        for (int i = 0; i < n; i++) on_ready(ready[i].data.ptr, ready[i].events);
    }
    print_result(all, (now_us() - t_measure) / 1e6, late);
    char ignored;
    if (in_step && fflush(stdout) == 0)
        while (read(0, &ignored, 1) > 0) continue;
    return 0;
}
