// The client calls the function from core 0: first calls that are not recorded, then, told to go on,
// the recorded ones, each between a begin and an end marker.
//
// It talks to the guest's init in lines: it says "warm" when it has done the first part and waits for
// a line, and says "done" at the end, or "error: ..." and stops.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"

	"muswarm/helloworld"
)

func markArm()
func markBegin()
func markEnd()
func markFinish()

func fail(format string, args ...interface{}) {
	fmt.Printf("error: "+format+"\n", args...)
	os.Exit(1)
}

func main() {
	address := flag.String("address", "10.0.0.2:50051", "where the function listens")
	name := flag.String("name", "10", "the function's input")
	expect := flag.String("expect", "", "the reply that is right; empty: any")
	before := flag.Int("before", 10, "calls before the pause")
	settle := flag.Int("settle", 5, "calls after the pause that are not recorded")
	recorded := flag.Int("recorded", 15, "recorded calls")
	flag.Parse()

	connectContext, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	connection, err := grpc.DialContext(connectContext, *address, grpc.WithInsecure(), grpc.WithBlock())
	if err != nil {
		fail("the function does not listen on %s: %v", *address, err)
	}

	request, reply := &helloworld.HelloRequest{Name: *name}, &helloworld.HelloReply{}
	call := func() {
		if err := connection.Invoke(context.Background(), helloworld.Method, request, reply); err != nil {
			fail("call failed: %v", err)
		}
	}
	check := func() {
		if *expect != "" && reply.Message != *expect {
			fail("the function replied %q, not %q", reply.Message, *expect)
		}
	}

	for i := 0; i < *before; i++ {
		call()
		check()
	}
	// The client's own garbage collection would be no part of the function's trace.
	runtime.GC()
	debug.SetGCPercent(-1)
	fmt.Println("warm")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		fail("told nothing after the pause: %v", err)
	}
	started := time.Now()
	for i := 0; i < *settle; i++ {
		call()
		check()
	}
	markArm()
	for i := 0; i < *recorded; i++ {
		markBegin()
		call()
		markEnd()
	}
	markFinish()
	check()
	if took := time.Since(started); took > time.Duration(*settle+*recorded)*time.Second {
		fail("the guest's clock jumped: %d calls took %v", *settle+*recorded, took)
	}
	fmt.Println("done")
}
