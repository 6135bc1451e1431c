// SPDX-License-Identifier: MIT

// Rows of locks: goroutines with GOMAXPROCS=1 that let others run while they hold one.
package main

import (
	"runtime"
	"sync"
)

// crowd lets eight goroutines do units of work together: a tenth before, and then all, timed.
func crowd(r *run, work func(turn int)) {
	const tasks = 8
	all := func(units int) {
		var ended sync.WaitGroup
		left := units // one processor: goroutines take turns
		ended.Add(tasks)
		for i := 0; i < tasks; i++ {
			go func(turn int) {
				for ; left > 0; turn++ {
					left--
					work(turn)
				}
				ended.Done()
			}(i)
		}
		ended.Wait()
	}
	all(r.units/10 + 1)
	r.begin()
	all(r.units)
	r.end(r.units)
}

// mutex: the unit is a lock, a yield, an unlock.
func mutex(r *run) {
	var lock sync.Mutex
	crowd(r, func(int) {
		lock.Lock()
		runtime.Gosched()
		lock.Unlock()
	})
}

// mutex1: the unit is a lock and an unlock that nobody else wants.
func mutex1(r *run) {
	var lock sync.Mutex
	unmeasured := r.units/10 + 1
	for i := 0; i < r.units+unmeasured; i++ {
		if i == unmeasured {
			r.begin()
		}
		lock.Lock()
		lock.Unlock()
	}
	r.end(r.units)
}

// semaphore: a channel that holds two, as Go has no other in its library.
func semaphore(r *run) {
	units := make(chan struct{}, 2)
	crowd(r, func(int) {
		units <- struct{}{}
		runtime.Gosched()
		<-units
	})
}

// rwlock: of eight locks of a goroutine one is to write.
func rwlock(r *run) {
	var lock sync.RWMutex
	crowd(r, func(turn int) {
		if turn%8 == 0 {
			lock.Lock()
			runtime.Gosched()
			lock.Unlock()
		} else {
			lock.RLock()
			runtime.Gosched()
			lock.RUnlock()
		}
	})
}
