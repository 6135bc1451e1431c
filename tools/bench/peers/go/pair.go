// SPDX-License-Identifier: MIT

// Rows of two cores: this goroutine on the first CPU, another on the second (bindSelf).
package main

import (
	"sync/atomic"
	"time"
)

const (
	capacity = 1024                   // items in a channel
	asleep   = 200 * time.Microsecond // for so long the receiver of xcore_wake sleeps
)

// poll receives without ever sleeping.
func poll(from chan uint64) uint64 {
	for {
		select {
		case item := <-from:
			return item
		default:
		}
	}
}

// rtt: the unit is an item there and another one back, through two channels. Both sides look again
// and again, as in the row. There is always room, so a send does not wait.
func rtt(r *run) {
	there, back := make(chan uint64, capacity), make(chan uint64, capacity)
	ended := make(chan bool)
	unmeasured := r.units/10 + 1
	total := uint64(r.units + unmeasured)
	go func() {
		for i := uint64(0); i < total; i++ {
			back <- poll(there) + 1
		}
		ended <- true
	}()
	for i := uint64(0); i < total; i++ {
		if i == uint64(unmeasured) {
			r.begin()
		}
		there <- i
		if poll(back) != i+1 {
			fail("xcore_rtt: a wrong item came back")
		}
	}
	r.end(r.units)
	<-ended
}

// stream: the unit is one item through a channel, whose ends park when they must: polling was three
// times slower. The sum comes back when all were received.
func stream(r *run) {
	there, sums := make(chan uint64, capacity), make(chan uint64, 1)
	unmeasured := r.units/10 + 1
	total := uint64(r.units + unmeasured)
	go func() {
		sum := uint64(0)
		for i := uint64(0); i < total; i++ {
			sum += <-there
		}
		sums <- sum
	}()
	for i := uint64(0); i < total; i++ {
		if i == uint64(unmeasured) {
			r.begin()
		}
		there <- i
	}
	sum := <-sums
	r.end(r.units)
	if sum != total*(total-1)/2 {
		fail("xcore_stream: the items that came are not those that were sent")
	}
}

// wake: from before a send until a goroutine that has slept for 200 us runs; the median.
func wake(r *run) {
	wakes, ended := make(chan bool), make(chan bool)
	var arrived atomic.Int64
	start := time.Now()
	go func() {
		for range wakes {
			arrived.Store(int64(time.Since(start)))
		}
		ended <- true
	}()
	unmeasured := r.units/10 + 1
	late := make([]int64, 0, r.units)
	for i := 0; i < r.units+unmeasured; i++ {
		arrived.Store(0)
		until := time.Since(start) + asleep
		sent := time.Since(start)
		for sent < until { // no sleep of our own: it is the receiver's wake that is measured
			sent = time.Since(start)
		}
		wakes <- true
		for arrived.Load() == 0 {
		}
		if i >= unmeasured {
			late = append(late, arrived.Load()-int64(sent))
		}
	}
	close(wakes)
	<-ended
	r.ns = median(late)
}
