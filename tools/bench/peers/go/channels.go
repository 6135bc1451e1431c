// SPDX-License-Identifier: MIT

// Rows of channels within a core: goroutines with GOMAXPROCS=1.
package main

import "runtime"

// chanLocal: the unit is an item of 8 bytes from one goroutine to another.
func chanLocal(r *run) {
	there := make(chan uint64, capacity)
	unmeasured := r.units/10 + 1
	total := uint64(r.units + unmeasured)
	go func() {
		for i := uint64(0); i < total; i++ {
			there <- i
		}
	}()
	sum := uint64(0)
	for i := uint64(0); i < total; i++ {
		if i == uint64(unmeasured) {
			r.begin()
		}
		sum += <-there
	}
	r.end(r.units)
	if sum != total*(total-1)/2 {
		fail("chan_local: the items that came are not those that were sent")
	}
}

// pingpong: the unit is an item there and another one back.
func pingpong(r *run) {
	there, back := make(chan uint64, 1), make(chan uint64, 1)
	go func() {
		for item := range there {
			back <- item + 1
		}
	}()
	unmeasured := r.units/10 + 1
	for i := 0; i < r.units+unmeasured; i++ {
		if i == unmeasured {
			r.begin()
		}
		there <- uint64(i)
		if <-back != uint64(i)+1 {
			fail("pingpong_local: a wrong item came back")
		}
	}
	r.end(r.units)
	close(there)
}

// select2: the unit is a select over two channels; who sends into them in turn yields after each
// item, so that the select waits.
func select2(r *run) {
	channels := [2]chan uint64{make(chan uint64, 1), make(chan uint64, 1)}
	unmeasured := r.units/10 + 1
	total := r.units + unmeasured
	go func() {
		for i := 0; i < total; i++ {
			channels[i%2] <- uint64(i)
			runtime.Gosched()
		}
	}()
	even, odd := channels[0], channels[1]
	for i := 0; i < total; i++ {
		if i == unmeasured {
			r.begin()
		}
		var item uint64
		select {
		case item = <-even:
		case item = <-odd:
		}
		if item != uint64(i) {
			fail("select2: a wrong item came")
		}
	}
	r.end(r.units)
}

// oneshot: the unit is a channel for one item, made, handed to a goroutine that waits, and received
// from.
func oneshot(r *run) {
	asked := make(chan chan uint64)
	go func() {
		answers := uint64(0)
		for answer := range asked {
			answers++
			answer <- answers
		}
	}()
	unmeasured := r.units/10 + 1
	for i := 0; i < r.units+unmeasured; i++ {
		if i == unmeasured {
			r.begin()
		}
		answer := make(chan uint64, 1)
		asked <- answer
		if <-answer != uint64(i)+1 {
			fail("oneshot: a wrong answer came")
		}
	}
	r.end(r.units)
	close(asked)
}
