/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "admin.h"
#include "check.h"
#include "committer.h"
#include "dispatcher.h"
#include "engine.h"
#include "helper.h"
#include "ingress.h"
#include "limit.h"
#include "listeners.h"
#include "log.h"
#include "loop.h"
#include "reader.h"
#include "runner.h"
#include "store_journal.h"
#include "store_lmdb.h"

enum {
    ADMIN_CONNECTIONS_MAX = 64,
    HELPER_JOBS_MAX = 1024,
    FILES_MAX = 65536,
    HEAP_KEPT_BYTES = 64 << 20,
    HEAP_MMAP_BYTES = 32 << 20,             /* glibc's upper bound */
    FILES_OWN = 64 + ADMIN_CONNECTIONS_MAX, /* the store, the loop, the operator */
    CONNECTIONS_MIN = 16,
    CLOSE_TIMEOUT_S = 4, /* two of them are for answers on their way */
};

struct host {
    const struct serve_options *options;
    struct registry *registry;
    struct log *log;
    struct metrics *metrics;
    struct loop *loop;
    struct store *store;
    struct committer *committer;
    struct reader *reader;
    struct helper *helper;
    struct dispatcher *dispatcher;
    struct engine *engine;
    struct runner *runner;
    struct ingress *ingress;
    struct admin *admin;
    struct listeners *listeners;
    struct http_server *admin_server;
    struct loop_watch signals;
    uint32_t connections_max; /* of clients */
    bool is_stop_asked;
};

/* The committer's last word: what is on disk is unknown now, and start-up is recovery. */
static struct log *failure_log;

static void on_failure(const struct err *err)
{
    log_event(
        failure_log, LOG_ERROR, "store.failed", LOG_STRING("code", err_code_name(err->code)),
        LOG_STRING("text", err->text),
        LOG_STRING("advice", "the host stops at once; mend the disk and start it again: nothing acknowledged is lost"));
    /* tidy: allow banned-call: after a failed sync nothing may go on, not even a tidy end. */
    _exit(EXIT_FAILURE);
}

static void on_signal(void *context, uint32_t events)
{
    struct host *host = context;
    struct signalfd_siginfo info;

    (void)events; /* EPOLLIN is all that was asked for */
    if (read(host->signals.fd, &info, sizeof info) == (ssize_t)sizeof info) {
        host->is_stop_asked = true;
    }
}

static enum err_code watch_signals(struct host *host, struct err *err) LOOP_THREAD
{
    sigset_t set;

    (void)sigemptyset(&set); /* cannot fail on a valid set */
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return err_set(err, ERR_SYSTEM, "blocking signals: %s", strerror(errno));
    }
    host->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (host->signals.fd < 0) {
        return err_set(err, ERR_SYSTEM, "making a signalfd: %s", strerror(errno));
    }
    host->signals.ready = on_signal;
    host->signals.context = host;
    return loop_watch(host->loop, &host->signals, EPOLLIN, err);
}

/* Arenas of steps and epochs come and go thousands of times a second; by default glibc gives the top of the heap back
 * to the system each time and faults it in again. Keeping it takes 8 % off the CPU of an ask. */
static void keep_heap(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_BYTES); /* without effect the host is slower, no more */
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_MMAP_BYTES);
}

/* Every connection and call is a descriptor; the usual soft limit of 1,024 is too low. Returns the connections of
 * clients there may be, so that calls, the operator and the store always find a descriptor. */
static uint32_t raise_file_limit(const struct registry *registry)
{
    struct rlimit limit = {.rlim_cur = 0};
    const uint64_t own = FILES_OWN + listeners_playground_connections(registry);

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FILES_MAX) {
        limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* with fewer the host still runs, and refuses earlier */
        (void)getrlimit(RLIMIT_NOFILE, &limit); /* it worked above */
    }
    const uint64_t half = limit.rlim_cur > own ? (limit.rlim_cur - own) / 2 : 0;
    const uint64_t most = half < LIMIT_CONNECTIONS_MAX ? half : LIMIT_CONNECTIONS_MAX;
    return most < CONNECTIONS_MIN ? CONNECTIONS_MIN : (uint32_t)most;
}

static enum err_code open_engine(struct host *host, struct err *err)
{
    const struct serve_options *options = host->options;
    struct engine_options engine;
    const struct clock_reading reading = clock_os_read();

    engine_options_default(&engine);
    engine.registry = host->registry;
    engine.metrics = host->metrics;
    engine.wall_ms = reading.wall_ms;
    engine.allow_clock_ahead = options->allow_clock_ahead;
    engine.commit_interval_ms = options->commit_interval_ms;
    engine.commit_bytes = options->commit_bytes;
    engine.memory_bytes = options->memory_bytes;
    engine.memory_bytes_max = options->memory_bytes * 2;
    engine.messages_soft_max = options->messages_max;
    engine.messages_hard_max = options->messages_max * 2;
    engine.store_bytes_soft_max = options->store_bytes_max;
    engine.store_bytes_hard_max = options->store_bytes_max + options->store_bytes_max / 8;
    engine.parked_max = options->parked_max;
    if (getrandom(engine.random, sizeof engine.random, 0) != (ssize_t)sizeof engine.random) {
        return err_set(err, ERR_SYSTEM, "drawing random bytes: %s", strerror(errno));
    }
    host->engine = engine_create(&engine);
    return ERR_NONE;
}

static enum err_code open_store(struct host *host, struct err *err) LOOP_THREAD
{
    const struct serve_options *options = host->options;
    const struct store_lmdb_options tables = {.folder = options->data_folder, .map_bytes = options->store_map_bytes};
    struct store_journal_options journal = {.folder = options->data_folder};
    const enum err_code code = store_lmdb_open(&tables, &journal.below, err);

    return code != ERR_NONE ? code : store_journal_open(&journal, &host->store, err);
}

static enum err_code open_threads(struct host *host, struct err *err) LOOP_THREAD
{
    const struct serve_options *options = host->options;

    if (open_store(host, err) != ERR_NONE) {
        return err->code;
    }
    const struct committer_options committer = {
        .loop = host->loop, .store = host->store, .log = host->log, .on_failure = on_failure};
    if (committer_start(&committer, &host->committer, err) != ERR_NONE ||
        reader_start(host->loop, host->store, options->reader_threads, &host->reader, err) != ERR_NONE ||
        helper_start(host->loop, "helper", options->helper_threads, HELPER_JOBS_MAX, &host->helper, err) != ERR_NONE) {
        return err->code;
    }
    const struct dispatcher_options dispatcher = {.loop = host->loop,
                                                  .helper = host->helper,
                                                  .registry = host->registry,
                                                  .metrics = host->metrics,
                                                  .calls_in_flight_max = LIMIT_CALLS_IN_FLIGHT_MAX};
    return dispatcher_create(&dispatcher, &host->dispatcher, err);
}

static enum err_code open_servers(struct host *host, struct err *err) LOOP_THREAD
{
    const struct listeners_options clients = {.loop = host->loop,
                                              .registry = host->registry,
                                              .ingress = host->ingress,
                                              .address = host->options->listen,
                                              .ingress_port = host->options->ingress_port,
                                              .admin_port = host->options->admin_port,
                                              .connections_max = host->connections_max};
    const struct http_server_options admin = {.address = host->options->listen,
                                              .port = host->options->admin_port,
                                              .body_bytes_max = LIMIT_INGRESS_BODY_BYTES_MAX,
                                              .connections_max = ADMIN_CONNECTIONS_MAX,
                                              .handler = admin_handle,
                                              .context = host->admin};

    if (listeners_open(&clients, host->runner, &host->listeners, err) != ERR_NONE) {
        return err->code;
    }
    return http_server_open(host->loop, &admin, &host->admin_server, err);
}

static enum err_code open_doors(struct host *host, struct err *err) LOOP_THREAD
{
    const struct runner_options runner = {.loop = host->loop,
                                          .engine = host->engine,
                                          .committer = host->committer,
                                          .reader = host->reader,
                                          .dispatcher = host->dispatcher,
                                          .metrics = host->metrics,
                                          .log = host->log};
    host->runner = runner_create(&runner);
    const struct ingress_options ingress = {.registry = host->registry,
                                            .runner = host->runner,
                                            .helper = host->helper,
                                            .metrics = host->metrics,
                                            .log = host->log};
    host->ingress = ingress_create(&ingress);
    runner_on_answer(host->runner, ingress_answer, host->ingress);
    const struct admin_options admin = {.engine = host->engine, .metrics = host->metrics, .log = host->log};
    host->admin = admin_create(&admin);
    if (open_servers(host, err) != ERR_NONE) {
        return err->code;
    }
    admin_serve(host->admin, host->admin_server);
    runner_add_server(host->runner, host->admin_server);
    return ERR_NONE;
}

static enum err_code open_all(struct host *host, struct err *err) LOOP_THREAD
{
    enum err_code code = loop_create(&host->loop, err);

    if (code == ERR_NONE) {
        code = watch_signals(host, err); /* before any thread, so that all have them blocked */
    }
    if (code == ERR_NONE) {
        code = open_threads(host, err);
    }
    if (code == ERR_NONE) {
        code = open_engine(host, err);
    }
    return code == ERR_NONE ? open_doors(host, err) : code;
}

static void log_listening(struct host *host, const char *event)
{
    enum { FIELDS_MAX = 4 + LISTENERS_FIELDS_MAX };
    struct log_field fields[FIELDS_MAX];
    size_t count = 0;

    fields[count++] = LOG_STRING("listen", host->options->listen);
    count += listeners_fields(host->listeners, &fields[count]);
    fields[count++] = LOG_NUMBER("admin_port", http_server_port(host->admin_server));
    fields[count++] = LOG_STRING("data", host->options->data_folder);
    fields[count++] = LOG_STRING("version", PROA_VERSION);
    log_write(host->log, LOG_INFO, event, fields, count);
}

static void begin_stop(struct host *host) LOOP_THREAD
{
    log_event(host->log, LOG_INFO, "host.stopping", LOG_NUMBER("waiting", listeners_waiting(host->listeners)));
    admin_stop(host->admin);
    runner_stop(host->runner);
    listeners_quiesce(host->listeners);
}

/* Turns until the engine has stopped and everybody was answered, or the time for it is over. */
static int run(struct host *host) LOOP_THREAD
{
    uint64_t deadline_us = UINT64_MAX;
    bool was_ready = false;

    while (runner_fatal(host->runner) == NULL) {
        runner_turn(host->runner);
        if (!was_ready && engine_is_ready(host->engine)) {
            was_ready = true;
            log_listening(host, "host.ready");
        }
        if (host->is_stop_asked && deadline_us == UINT64_MAX) {
            deadline_us = clock_monotonic_us() + (uint64_t)host->options->stop_timeout_ms * 1000;
            begin_stop(host);
        }
        if (engine_is_stopped(host->engine) && listeners_waiting(host->listeners) == 0) {
            log_event(host->log, LOG_INFO, "host.stopped", LOG_STRING("text", "everything taken is on disk"));
            return EXIT_SUCCESS;
        }
        if (clock_monotonic_us() > deadline_us) {
            log_event(host->log, LOG_ERROR, "host.stop_timeout",
                      LOG_STRING("text", "the last epoch is not on disk; what was not acknowledged may be lost"));
            return EXIT_FAILURE;
        }
    }
    log_event(host->log, LOG_ERROR, "host.fatal", LOG_STRING("text", runner_fatal(host->runner)->text));
    return EXIT_FAILURE;
}

static void close_all(struct host *host) LOOP_THREAD
{
    dispatcher_destroy(host->dispatcher);
    if (host->ingress != NULL) {
        ingress_stop(host->ingress); /* whoever still comes is told so */
    }
    helper_stop(host->helper); /* its last jobs may still read requests */
    listeners_close(host->listeners);
    http_server_close(host->admin_server);
    ingress_destroy(host->ingress);
    admin_destroy(host->admin);
    runner_destroy(host->runner);
    committer_stop(host->committer);
    reader_stop(host->reader);
    engine_destroy(host->engine);
    store_close(host->store);
    if (host->signals.fd >= 0) {
        (void)close(host->signals.fd); /* read only: nothing can be lost */
    }
    loop_destroy(host->loop);
    registry_destroy(host->registry);
    metrics_destroy(host->metrics);
    log_destroy(host->log);
}

static volatile sig_atomic_t exit_status;

static void on_close_timeout(int signal_number)
{
    (void)signal_number;
    /* tidy: allow banned-call: the way out when a library does not come back. */
    _exit((int)exit_status);
}

/* By now everybody was answered and everything is on disk; a name look-up of the system may still hang for long. */
static void limit_close(int status)
{
    exit_status = status;
    (void)signal(SIGALRM, on_close_timeout); /* cannot fail for this signal */
    (void)alarm(CLOSE_TIMEOUT_S);
}

int host_serve(const struct serve_options *options, struct registry *registry)
{
    struct host host = {.options = options, .registry = registry, .signals = {.fd = -1}};
    struct err err;
    int status = EXIT_FAILURE;

    thread_assume(&thread_loop);
    host.connections_max = raise_file_limit(registry);
    keep_heap();
    host.log = log_create(STDERR_FILENO, options->log_level, options_is_log_json(options));
    host.metrics = metrics_create();
    failure_log = host.log;
    if (host.connections_max < LIMIT_CONNECTIONS_MAX) {
        log_event(host.log, LOG_WARN, "host.few_descriptors", LOG_NUMBER("connections", host.connections_max),
                  LOG_STRING("text", "the limit of open files leaves room for so many clients; raise it (ulimit -n)"));
    }
    if (open_all(&host, &err) == ERR_NONE) {
        log_listening(&host, "host.listening");
        status = run(&host);
    } else {
        log_event(host.log, LOG_ERROR, "host.start_failed", LOG_STRING("code", err_code_name(err.code)),
                  LOG_STRING("text", err.text));
    }
    limit_close(status);
    close_all(&host);
    (void)alarm(0);
    return status;
}
