// SPDX-License-Identifier: MIT

// Row tcp_echo: a goroutine per connection, with GOMAXPROCS=1.
package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

func session(peer net.Conn) {
	bytes := make([]byte, 4096)
	for {
		n, err := peer.Read(bytes)
		if err == nil {
			_, err = peer.Write(bytes[:n])
		}
		if err != nil { // the client is gone
			peer.Close()
			return
		}
	}
}

// startClient starts the client, which takes over input and output, and ends as it ends.
func startClient(address string, cpu int) {
	self, err := os.Executable()
	if err != nil {
		fail("%v", err)
	}
	client := exec.Command(filepath.Join(filepath.Dir(self), "echo-client"), address,
		strconv.Itoa(cpu))
	client.Stdin, client.Stdout, client.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := client.Start(); err != nil {
		fail("%v; build it, it belongs beside this program", err)
	}
	go func() {
		err := client.Wait()
		if code := client.ProcessState.ExitCode(); code > 0 {
			os.Exit(code)
		} else if err != nil {
			fail("the client: %v", err)
		}
		os.Exit(0)
	}()
}

// serve echoes until the client ends. Go sets TCP_NODELAY by itself.
func serve(cpus []int, ready func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail("%v", err)
	}
	ready()
	startClient(listener.Addr().String(), cpus[1])
	for {
		peer, err := listener.Accept()
		if err != nil {
			fail("%v", err)
		}
		go session(peer)
	}
}
