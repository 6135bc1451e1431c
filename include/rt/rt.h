/* SPDX-License-Identifier: MIT */
/*
 * shardrt: a thread-per-core, shared-nothing runtime for Linux.
 *
 * This header includes all others but rt/bench.h, which is for rows of rt-bench. Each stands
 * alone too.
 */
#ifndef RT_RT_H
#define RT_RT_H

#include "rt/base.h"
#include "rt/blocking.h"
#include "rt/buffer.h"
#include "rt/call.h"
#include "rt/channel.h"
#include "rt/condition.h"
#include "rt/directory.h"
#include "rt/dump.h"
#include "rt/event.h"
#include "rt/executor.h"
#include "rt/file.h"
#include "rt/future.h"
#include "rt/gate.h"
#include "rt/group.h"
#include "rt/home.h"
#include "rt/interval.h"
#include "rt/local.h"
#include "rt/loop.h"
#include "rt/memory.h"
#include "rt/mesh.h"
#include "rt/mutex.h"
#include "rt/no_suspend.h"
#include "rt/once.h"
#include "rt/oneshot.h"
#include "rt/placement.h"
#include "rt/read_many.h"
#include "rt/reader.h"
#include "rt/ready.h"
#include "rt/ring.h"
#include "rt/rwlock.h"
#include "rt/scope.h"
#include "rt/select.h"
#include "rt/semaphore.h"
#include "rt/service.h"
#include "rt/shares.h"
#include "rt/spsc.h"
#include "rt/stall.h"
#include "rt/start.h"
#include "rt/task.h"
#include "rt/taskq.h"
#include "rt/tcp.h"
#include "rt/timer.h"
#include "rt/topology.h"
#include "rt/trace.h"
#include "rt/version.h"
#include "rt/watch.h"
#include "rt/whole_file.h"
#include "rt/writer.h"

#endif /* RT_RT_H */
