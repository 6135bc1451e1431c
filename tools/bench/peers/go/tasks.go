// SPDX-License-Identifier: MIT

// Rows of one core: goroutines with GOMAXPROCS=1.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// yield: the unit is one switch. Gosched puts a goroutine into the global queue, from which they
// are taken in batches; so switches are counted, by whoever makes one.
func yield(r *run, count int) {
	var stop atomic.Bool
	var others sync.WaitGroup
	switches := 0 // one processor: goroutines take turns
	for i := 1; i < count; i++ {
		others.Add(1)
		go func() {
			for !stop.Load() {
				switches++
				runtime.Gosched()
			}
			others.Done()
		}()
	}
	for switches < r.units/10 {
		switches++
		runtime.Gosched()
	}
	r.begin()
	before := switches
	for switches < before+r.units {
		switches++
		runtime.Gosched()
	}
	r.end(switches - before)
	stop.Store(true)
	others.Wait()
}

// spawnJoin: the unit is a goroutine made, its result received.
func spawnJoin(r *run) {
	results := make(chan int)
	unmeasured := r.units/10 + 1
	sum := 0
	for i := 0; i < r.units+unmeasured; i++ {
		if i == unmeasured {
			r.begin()
		}
		go func() { results <- 1 }()
		sum += <-results
	}
	r.end(r.units)
	if sum != r.units+unmeasured {
		fail("spawn_join: a result is wrong")
	}
}

func batchOnce() {
	var tasks sync.WaitGroup
	done := 0 // one processor: goroutines take turns
	tasks.Add(batch)
	for i := 0; i < batch; i++ {
		go func() {
			runtime.Gosched()
			done++
			tasks.Done()
		}()
	}
	tasks.Wait()
	if done != batch {
		fail("spawn_batch: not all goroutines have run")
	}
}

// spawnBatch: the unit is one of many goroutines that are all made, suspend once, and are awaited.
func spawnBatch(r *run) {
	batchOnce() // the first use of a stack is the kernel's work
	r.begin()
	batchOnce()
	r.end(batch)
}

// sleepMany: the unit is a sleep of 1 to 100 ms, of 100,000 goroutines that sleep again and again;
// the CPU time of the process.
func sleepMany(r *run) {
	var stop atomic.Bool
	var tasks sync.WaitGroup
	random := uint64(1)
	slept := 0 // one processor: goroutines take turns
	for i := 0; i < sleepers; i++ {
		tasks.Add(1)
		go func() {
			for !stop.Load() {
				random = random*6364136223846793005 + 1442695040888963407
				time.Sleep(time.Millisecond + time.Duration(random>>33%99000000))
				slept++
			}
			tasks.Done()
		}()
	}
	time.Sleep(150 * time.Millisecond) // all have slept once
	before := slept
	used := cpuTime()
	time.Sleep(100 * time.Millisecond)
	used = cpuTime() - used
	if slept == before {
		fail("sleep_many: nobody has woken")
	}
	r.ns = float64(used) / float64(slept-before)
	stop.Store(true)
	tasks.Wait()
}

// cpuTime is what the process has used, in nanoseconds.
func cpuTime() int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		fail("getrusage: %v", err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// group: the unit is one of eight goroutines that are made and awaited together.
func group(r *run) {
	const size = 8
	var tasks sync.WaitGroup
	done := 0 // one processor: goroutines take turns
	rounds := r.units/size + 1
	unmeasured := rounds/10 + 1
	for i := 0; i < rounds+unmeasured; i++ {
		if i == unmeasured {
			r.begin()
		}
		tasks.Add(size)
		for j := 0; j < size; j++ {
			go func() {
				done++
				tasks.Done()
			}()
		}
		tasks.Wait()
	}
	r.end(rounds * size)
	if done != (rounds+unmeasured)*size {
		fail("group_spawn_wait: not all goroutines have run")
	}
}
