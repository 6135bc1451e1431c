/* SPDX-License-Identifier: MIT */
/*
 * TCP: listeners and streams, over IPv4 and IPv6.
 *
 * An address is numeric text, "127.0.0.1:7000" or "[::1]:7000"; the host may
 * be left out (":7000" is every address, IPv6 and IPv4, through one IPv6 socket;
 * without IPv6 say "0.0.0.0:7000"), and port 0 lets the kernel choose. Names are
 * not looked up: that would block the shard.
 *
 *     struct rt_tcp_listener *listener;
 *     struct rt_tcp_stream *peer;
 *
 *     r = rt_tcp_listen(&listener, "127.0.0.1:7000", NULL);
 *     r = rt_tcp_accept(listener, &peer, RT_NEVER);
 *
 * Per stream one task may receive and one may send at a time; a second one
 * aborts. Small writes are sent at once (TCP_NODELAY) unless the options say
 * otherwise.
 */
#ifndef RT_TCP_H
#define RT_TCP_H

#include "rt/base.h"
#include "rt/future.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A listening socket. Belongs to the shard that made it; others may have theirs beside it. */
struct rt_tcp_listener;

/** A connection. Belongs to the shard that accepted or connected it. */
struct rt_tcp_stream;

/** Options of sockets; start from RT_TCP_OPTIONS_INIT. A field of 0 means the default. */
struct rt_tcp_options {
    uint32_t size;                 /* sizeof(struct rt_tcp_options) */
    uint32_t backlog;              /* connections that wait to be accepted; default 4096 */
    uint32_t delay;                /* 1: gather small writes (no TCP_NODELAY) */
    uint32_t receive_buffer_bytes; /* SO_RCVBUF; default: the kernel's */
    uint32_t send_buffer_bytes;    /* SO_SNDBUF; default: the kernel's */
    uint32_t reserved;             /* 0 */
};

#define RT_TCP_OPTIONS_INIT { (uint32_t)sizeof(struct rt_tcp_options), 0, 0, 0, 0, 0 }

/** Enough bytes for the text of any address, its terminator included. */
#define RT_TCP_ADDRESS_BYTES 64

/**
 * Listen on an address.
 *
 * The shards of a runtime listen on an address together, with a listener each: the
 * first one claims it, the others join, and the kernel deals out new connections
 * by chance. Whoever else wants it, another program or a second listener of the same
 * shard, gets -EADDRINUSE. (One kind of program cannot be kept out: of the same user,
 * and setting SO_REUSEPORT itself. Under rt_run() it can.)
 *
 * With port 0 the kernel chooses for the first one, and the others join that port.
 * A listener joins the oldest claim of its HOST:0 at which its shard has none, and
 * makes a claim, with a port of its own, when there is none: so the nth listener of
 * each shard shares the nth port. A claim ends when its last listener is closed.
 *
 * @param out      gets the listener, on success only; the caller closes it.
 * @param address  "HOST:PORT", numeric.
 * @param options  NULL = defaults; inherited by the accepted streams.
 * @return 0; -EINVAL for an address or options that cannot be read, -E2BIG for options
 *         of a newer library (a text says why); -EAFNOSUPPORT (no IPv6 here);
 *         -EADDRINUSE; -EACCES (port below 1024); -EADDRNOTAVAIL (no such host
 *         address here); -EMFILE; -ENOMEM; or another error of socket, bind or listen.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_tcp_listen(struct rt_tcp_listener **out, const char *address,
                  const struct rt_tcp_options *options);

/**
 * The address that the listener has, with the port that was chosen.
 *
 * @param text   gets the text, on success only.
 * @param bytes  size of `text`; RT_TCP_ADDRESS_BYTES is enough.
 * @return 0; -ENOSPC when `bytes` are too few.
 * \context{In a task of the listener's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_tcp_listener_address(const struct rt_tcp_listener *listener, char *text, size_t bytes);

/**
 * Take the next connection.
 *
 * A connection that its peer gave up before it was taken is skipped. For want
 * of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) accepting pauses,
 * 10 ms at first and up to 1 s, until there is room; a warning says so once,
 * and rt_stats.accept_backoffs counts it.
 *
 * In a cancelled task the connections that wait at its first call are still handed
 * out, one a call; then it gives -ECANCELED. So the usual loop serves all who had
 * connected before it was stopped, and it ends, however many come meanwhile. For want
 * of descriptors it ends at once, and a warning says how many were given up.
 *
 * @param out  gets the stream, on success only; the caller closes it.
 * @return 0; -ETIME; -ECANCELED when the task was cancelled, see above; -EPIPE when the
 *         listener is being closed; or an error of accept(2).
 * \context{In a task of the listener's shard, one at a time. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_tcp_accept(struct rt_tcp_listener *listener, struct rt_tcp_stream **out, rt_time deadline);

/**
 * Stop listening and free the listener. Works in a cancelled task too.
 *
 * Connections that wait are reset by the kernel. Those who had connected before a
 * cancel do not wait any more if the task accepted until -ECANCELED; those who came
 * since do. They are lost to the listeners of other shards, too, unless the sysctl
 * net.ipv4.tcp_migrate_req is 1.
 *
 * @param listener  NULL does nothing. No task may be accepting on it.
 * \context{In a task of the listener's shard. Suspends.}
 */
RT_API RT_SUSPENDS
void rt_tcp_listener_close(struct rt_tcp_listener *listener);

/**
 * Connect to an address.
 *
 * @param out      gets the stream, on success only; the caller closes it.
 * @param options  NULL = defaults.
 * @return 0; -EINVAL for an address that cannot be read; -ECONNREFUSED, -ETIMEDOUT,
 *         -ENETUNREACH or another error of connect(2); -EMFILE; -ETIME; -ECANCELED.
 * \context{In a task. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_tcp_connect(struct rt_tcp_stream **out, const char *address,
                   const struct rt_tcp_options *options, rt_time deadline);

/**
 * Receive what has come, at least one byte and at most `bytes`.
 *
 * @return how many bytes were received; 0 when the peer has finished sending (or
 *         `bytes` is 0); -ECONNRESET or another error of recv(2); -ETIME; -ECANCELED;
 *         -EPIPE when the stream is being closed. No byte is lost by -ETIME or -ECANCELED.
 * \context{In a task of the stream's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_tcp_recv(struct rt_tcp_stream *stream, void *buf, size_t bytes, rt_time deadline);

/**
 * Send some of the bytes, as many as the kernel takes.
 *
 * @return how many bytes were sent, at least 1 unless `bytes` is 0; -EPIPE when the
 *         peer has closed; -ECONNRESET or another error of send(2); -ETIME; -ECANCELED.
 * \context{In a task of the stream's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_tcp_send(struct rt_tcp_stream *stream, const void *buf, size_t bytes, rt_time deadline);

/**
 * Send all of the bytes.
 *
 * @param done  gets how many were sent, also on failure; may be NULL.
 * @return `bytes`, or an error as of rt_tcp_send().
 * \context{In a task of the stream's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_tcp_send_all(struct rt_tcp_stream *stream, const void *buf, size_t bytes, size_t *done,
                        rt_time deadline);

/**
 * As rt_tcp_recv(), from a poll function. The buffer must lie in memory that lives as long
 * as the future does.
 *
 * @return RT_PENDING; as rt_tcp_recv().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_tcp_recv(struct rt_future *future, struct rt_tcp_stream *stream, void *buf,
                     size_t bytes, rt_time deadline);

/**
 * As rt_tcp_send(), from a poll function.
 *
 * @return RT_PENDING; as rt_tcp_send().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_tcp_send(struct rt_future *future, struct rt_tcp_stream *stream, const void *buf,
                     size_t bytes, rt_time deadline);

/**
 * Finish sending: the peer's receive ends with 0 after what was sent. Works in a
 * cancelled task too.
 *
 * @return 0; -EPIPE when the stream is being closed; or an error of shutdown(2) such
 *         as -ENOTCONN.
 * \context{In a task of the stream's shard. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_tcp_shutdown_send(struct rt_tcp_stream *stream);

/**
 * The address of the peer.
 *
 * @param text   gets the text, on success only.
 * @param bytes  size of `text`; RT_TCP_ADDRESS_BYTES is enough.
 * @return 0; -ENOSPC when `bytes` are too few; -ENOTCONN when the connection is gone.
 * \context{In a task of the stream's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_tcp_peer_address(const struct rt_tcp_stream *stream, char *text, size_t bytes);

/**
 * Close the connection and free the stream. Works in a cancelled task too.
 *
 * Another task's receive or send on it ends first: with -EPIPE, or with its
 * result if that had already come. Calls that come later get -EPIPE, as long as
 * the close goes on; after it the stream is gone.
 *
 * @param stream  NULL does nothing.
 * \context{In a task of the stream's shard. Suspends.}
 */
RT_API RT_SUSPENDS
void rt_tcp_close(struct rt_tcp_stream *stream);

/**
 * Close the connection and free the stream without waiting, by close(2): for the drop function
 * of a future that owns it. About a microsecond.
 *
 * @param stream  NULL does nothing. No task may be using it.
 * \context{In a task of the stream's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_tcp_drop(struct rt_tcp_stream *stream);

#ifdef __cplusplus
}
#endif

#endif /* RT_TCP_H */
