// SPDX-License-Identifier: MIT

// Peer: Go. The command line and the protocol with rt-bench, as peer.c has them for C.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

const (
	cpuMax   = 1023   // of the kernel's set of CPUs
	batch    = 20000  // tasks of row spawn_batch: always all of them
	sleepers = 100000 // goroutines of row sleep_many
)

// run is one repetition.
type run struct {
	units int
	cpus  []int
	start time.Time
	ns    float64 // per unit: the answer
}

func (r *run) begin() { r.start = time.Now() }

func (r *run) end(units int) {
	r.ns = float64(time.Since(r.start).Nanoseconds()) / float64(units)
}

// A row has either fn or serve.
type row struct {
	name  string
	fn    func(*run)
	serve func(cpus []int, ready func()) // tcp_echo: does not return
	pair  bool
}

var rows = []row{
	{name: "yield2", fn: func(r *run) { yield(r, 2) }},
	{name: "yield1k", fn: func(r *run) { yield(r, 1000) }},
	{name: "spawn_join", fn: spawnJoin},
	{name: "spawn_batch", fn: spawnBatch},
	{name: "group_spawn_wait", fn: group},
	{name: "sleep_many", fn: sleepMany},
	{name: "mutex", fn: mutex},
	{name: "mutex1", fn: mutex1},
	{name: "semaphore", fn: semaphore},
	{name: "rwlock", fn: rwlock},
	{name: "chan_local", fn: chanLocal},
	{name: "pingpong_local", fn: pingpong},
	{name: "select2", fn: select2},
	{name: "oneshot", fn: oneshot},
	{name: "xcore_rtt", fn: rtt, pair: true},
	{name: "xcore_stream", fn: stream, pair: true},
	{name: "xcore_wake", fn: wake, pair: true},
	{name: "tcp_echo", serve: serve, pair: true},
}

func complain(status int, format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "peer-go: "+format+"\n", arguments...)
	os.Exit(status)
}

func fail(format string, arguments ...any) { complain(1, format, arguments...) }

func usage(text string) {
	complain(2, "%s\nusage: peer-go --list\n       peer-go ROW CPU [CPU2]", text)
}

// bindThread binds one thread, or the calling one when it is 0.
func bindThread(thread, cpu int) error {
	var set [(cpuMax + 1) / 64]uint64
	set[cpu/64] = 1 << (cpu % 64)
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(thread),
		unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	if errno != 0 {
		return errno
	}
	return nil
}

// bindAll binds every thread that there is; those to come inherit it.
func bindAll(cpu int) {
	for before, now := -1, 0; before != now; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			fail("%v", err)
		}
		before, now = now, len(threads)
		for _, thread := range threads {
			number, _ := strconv.Atoi(thread.Name())
			if err := bindThread(number, cpu); err != nil {
				fail("cannot run on CPU %d: %v; does it exist, and is it allowed here?", cpu, err)
			}
		}
	}
}

// bindSelf keeps the calling goroutine on a thread of its own, on the first CPU. All the others of
// Go's threads are on the second. So what is sent from here is received there.
func bindSelf(r *run) {
	runtime.LockOSThread()
	if err := bindThread(0, r.cpus[0]); err != nil {
		fail("cannot run on CPU %d: %v; does it exist, and is it allowed here?", r.cpus[0], err)
	}
}

func median(values []int64) float64 {
	sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
	n := len(values)
	return float64(values[n/2]+values[(n-1)/2]) / 2
}

// answer repeats for each line of units until the end of input.
func answer(r *run, row *row) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		units, err := strconv.Atoi(lines.Text())
		if err != nil || units < 1 {
			fail("%q is no number of units; give one above 0 on each line", lines.Text())
		}
		r.units, r.ns = units, 0
		row.fn(r)
		if r.ns <= 0 {
			fail("%d units took no time at all; give more", units)
		}
		fmt.Printf("%.4f\n", r.ns)
	}
}

func findRow(name string) *row {
	for i := range rows {
		if rows[i].name == name {
			return &rows[i]
		}
	}
	usage("there is no such row here; --list prints them")
	return nil
}

func readCPUs(texts []string) []int {
	cpus := make([]int, len(texts))
	for i, text := range texts {
		cpu, err := strconv.Atoi(text)
		if err != nil || cpu < 0 || cpu > cpuMax {
			usage(fmt.Sprintf("%q is no CPU; give 0 to %d", text, cpuMax))
		}
		cpus[i] = cpu
	}
	if len(cpus) == 2 && cpus[0] == cpus[1] {
		usage("the two CPUs must differ")
	}
	return cpus
}

func main() {
	arguments := os.Args[1:]
	if len(arguments) == 1 && arguments[0] == "--list" {
		for _, row := range rows {
			fmt.Println(row.name)
		}
		return
	}
	if len(arguments) < 2 {
		usage("which row, and where?")
	}
	row := findRow(arguments[0])
	if !row.pair && len(arguments) != 2 {
		usage("this row needs one CPU")
	}
	if row.pair && len(arguments) != 3 {
		usage("this row needs two CPUs")
	}
	r := &run{cpus: readCPUs(arguments[1:])}
	ready := func() { fmt.Printf("ready Go %s\n", runtime.Version()[len("go"):]) }
	if row.serve != nil {
		runtime.GOMAXPROCS(1)
		bindAll(r.cpus[0])
		row.serve(r.cpus, ready)
		return
	}
	runtime.GOMAXPROCS(len(r.cpus))
	bindAll(r.cpus[len(r.cpus)-1])
	if row.pair {
		bindSelf(r)
	}
	ready()
	answer(r, row)
}
